import { expect, test } from '@jest/globals';
import { defineTransportProvider } from '@countersign/core';
import * as z from 'zod/mini';
import { json, open, plugin, startServer } from './support.js';

/** A transport that sends one request when it is opened. */
const probe = defineTransportProvider('test-probe', {
  type: 'streamable-http',
  options: z.looseObject({}),
  create: (_, { fetch, server }) => ({
    async open() {
      await fetch(server.url?.href ?? '');
      throw new Error('it was not refused');
    },
  }),
});

const key = plugin('key', () => ({
  authorize: ({ headers }) => headers.set('x-key', 'a'),
  status: () => ({ state: 'ready', source: 'the vault' }),
}));

async function refused(status: number, body: unknown, headers: Record<string, string> = {}, auth?: unknown) {
  const { url } = await startServer((_, response) => json(response, status, body, headers));
  const app = await open({ plugins: [probe, key], servers: { s: { url, ...(auth ? { auth } : {}) } } });
  return app.transport('s').catch((error: unknown) => error);
}

test('says whose credential was refused, and what the server said', async () => {
  expect(await refused(401, { error_description: 'expired' }, {}, { method: 'key' })).toMatchObject({
    code: 'UNAUTHORIZED',
    message: '401 Unauthorized: server s refuses the credential of key (the vault). It says: "expired".',
  });
});

test('cuts what the server said between words, so that no part of a secret is left', async () => {
  const secret = 'canary-api-key-0123456789-abcdefghij';
  for (let before = 350; before < 402; before++) {
    const error_description = `${'z '.repeat(before / 2)}${secret}${'.'.repeat(before % 2)} and more`;
    const { message } = (await refused(401, { error_description }, {}, { method: 'key' })) as Error;
    expect(message.replaceAll(secret, '')).not.toContain('canary');
    expect(message.length).toBeLessThan(520);
  }
});

test.each([
  [403, {}, 'FORBIDDEN', /"headers" or "auth"/],
  [401, {}, 'UNAUTHORIZED', /"headers" or "auth"/],
  [401, { 'www-authenticate': 'Bearer resource_metadata="https://h/x"' }, 'UNAUTHORIZED', /"method": "oauth"/],
])('%i without a credential says what to configure', async (status, headers, code, remedy) => {
  expect(await refused(status, {}, headers as Record<string, string>)).toMatchObject({
    code,
    remedy: expect.stringMatching(remedy),
  });
});
