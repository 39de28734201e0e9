import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { createCountersign } from '@countersign/core';
import headers from '@countersign/auth-headers';

const closing: (() => unknown)[] = [];
afterEach(() => Promise.all(closing.splice(0).map((close) => close())));

async function server() {
  const received: IncomingHttpHeaders[] = [];
  const http = createServer((request, response) => {
    received.push(request.headers);
    request.resume();
    response.end('{}');
  }).listen(0, '127.0.0.1');
  await once(http, 'listening');
  closing.push(() => http.close());
  return { url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`, received };
}

async function app(url: string, values: Record<string, string>, env: Record<string, string> = {}) {
  const instance = await createCountersign({ plugins: [headers], servers: { s: { url, headers: values } }, env });
  closing.push(() => instance.close());
  return instance;
}

test('an Accept is appended to the transport’s', async () => {
  const { url, received } = await server();
  await (await app(url, { Accept: 'application/vnd.github.v3+json' })).fetch('s')(url, {
    method: 'POST',
    body: '{}',
    headers: { accept: 'application/json, text/event-stream' },
  });
  expect(received[0]?.accept).toBe('application/json, text/event-stream, application/vnd.github.v3+json');
});

test('values are computed for every request', async () => {
  const { url, received } = await server();
  const fetch = (
    await app(url, {
      'X-Request-ID': '${REQUEST_ID}',
      'X-Nonce': '${request:nonce}',
      'X-Path': '${request:method} ${request:path}',
    })
  ).fetch('s');
  for (let i = 0; i < 3; i++) await fetch(`${url}?i=${i}`, { method: 'POST', body: '{}' });
  expect(new Set(received.map((one) => one['x-request-id'])).size).toBe(3);
  expect(received.map((one) => one['x-nonce'] === one['x-request-id'])).toEqual([true, true, true]);
  expect(received.map((one) => one['x-path'])).toEqual(['POST /mcp?i=0', 'POST /mcp?i=1', 'POST /mcp?i=2']);
});

test.each(['line\nbreak-canary', 'nul\0byte-canary', 'snow☃man-canary'])(
  'a secret with a bad character is refused, and shown nowhere',
  async (secret) => {
    const { url, received } = await server();
    const error = (await (
      await app(url, { 'X-Key': '${SECRET}' }, { SECRET: secret })
    )
      .fetch('s')(url, {})
      .catch((e: unknown) => e)) as Error;
    expect(error).toMatchObject({
      code: 'INVALID_HEADER',
      message: expect.stringMatching(/x-key.*\$\{SECRET\}/i),
      server: 's',
    });
    expect([JSON.stringify(error), error.stack, received]).toEqual([
      expect.not.stringContaining('canary'),
      expect.not.stringContaining('canary'),
      [],
    ]);
  },
);

test('two headers of one name are refused', async () => {
  const { url } = await server();
  await expect((await app(url, { 'X-A': '1', 'x-a': '2' })).fetch('s')(url, {})).rejects.toMatchObject({
    code: 'HEADER_CONFLICT',
  });
});

test('the status names the headers', async () => {
  const { url } = await server();
  expect(await (await app(url, { 'X-API-Key': '${K}' }, { K: 'v' })).status('s')).toMatchObject({
    state: 'ready',
    source: 'headers X-API-Key',
  });
});
