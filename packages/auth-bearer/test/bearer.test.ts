import { once } from 'node:events';
import { mkdtemp, rename, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { createCountersign, defineVariableSource } from '@countersign/core';
import bearer from '@countersign/auth-bearer';

const closing: (() => unknown)[] = [];
afterEach(() => Promise.all(closing.splice(0).map((close) => close())));

async function guarded(accepted: () => string) {
  const received: (string | undefined)[] = [];
  const http = createServer((request, response) => {
    received.push(request.headers.authorization);
    request.resume();
    response.writeHead(request.headers.authorization === `Bearer ${accepted()}` ? 200 : 401).end();
  }).listen(0, '127.0.0.1');
  await once(http, 'listening');
  closing.push(() => http.close());
  return { url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`, received };
}

async function app(url: string, options: Record<string, string>, env: Record<string, string> = {}) {
  const vault = defineVariableSource('vault', { names: ['VAULT_TOKEN'], value: async () => 'from-the-vault' });
  const instance = await createCountersign({
    plugins: [bearer, vault],
    servers: { s: { url, auth: { method: 'bearer', ...options } } },
    env,
  });
  closing.push(() => instance.close());
  return instance;
}

test.each([
  [{ token: '${ACME_TOKEN}' }, { ACME_TOKEN: 'abc' }, 'abc'],
  [{ token: '${ACME_TOKEN}' }, { ACME_TOKEN: ' abc\n' }, 'abc'],
  [{ token: 'literal' }, {}, 'literal'],
  [{ token: '${VAULT_TOKEN}' }, {}, 'from-the-vault'],
])('the token of %j is sent', async (options, env, token) => {
  const { url } = await guarded(() => token);
  expect((await (await app(url, options, env as Record<string, string>)).fetch('s')(url, {})).status).toBe(200);
});

test('a file is read again when it changes, and once more on a 401', async () => {
  const file = join(await mkdtemp(join(tmpdir(), 'countersign-')), 'token');
  let accepted = 'first';
  await writeFile(file, 'first\n');
  const { url, received } = await guarded(() => accepted);
  const fetch = (await app(url, { tokenFile: file })).fetch('s');
  expect((await fetch(url, {})).status).toBe(200);
  accepted = 'second-token';
  await writeFile(`${file}.new`, 'second-token');
  await rename(`${file}.new`, file);
  expect((await fetch(url, {})).status).toBe(200);
  accepted = 'nothing';
  expect((await fetch(url, {})).status).toBe(401);
  expect(received).toEqual(['Bearer first', 'Bearer second-token', 'Bearer second-token']);
});

test.each([
  [{}, 'AUTH_OPTIONS_INVALID'],
  [{ token: 'a', tokenFile: 'b' }, 'AUTH_OPTIONS_INVALID'],
  [{ token: '' }, 'AUTH_OPTIONS_INVALID'],
  [{ token: '${UNSET}' }, 'UNRESOLVED_VARIABLE'],
  [{ tokenFile: '/nonexistent/token' }, 'CREDENTIAL_UNAVAILABLE'],
])('%j is %s, and nothing is sent', async (options, code) => {
  const { url, received } = await guarded(() => 'x');
  await expect((await app(url, options as Record<string, string>)).fetch('s')(url, {})).rejects.toMatchObject({ code });
  expect(received).toEqual([]);
});

test('a token with a line break within is refused, and shown nowhere', async () => {
  const { url } = await guarded(() => 'x');
  const error = (await (
    await app(url, { token: '${T}' }, { T: 'canary-a\ncanary-b' })
  )
    .fetch('s')(url, {})
    .catch((e: unknown) => e)) as Error;
  expect([(error as { code?: string }).code, `${error.message}${error.stack}`]).toEqual([
    'INVALID_HEADER',
    expect.not.stringContaining('canary'),
  ]);
});
