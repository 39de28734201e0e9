import { expect, test } from '@jest/globals';
import { defineTransportProvider } from '@countersign/core';
import * as z from 'zod/mini';
import { open, plugin } from './support.js';

const key = plugin('key', () => ({ authorize: ({ headers }) => headers.set('x-key', 'a') }), {
  options: z.strictObject({
    value: z.optional(z.string().register(z.globalRegistry, { secret: true })),
    inner: z.optional(
      z.strictObject({ id: z.string(), value: z.string().register(z.globalRegistry, { secret: true }) }),
    ),
  }),
});
const headers = plugin('headers', () => ({ authorize() {} }), {
  options: z.strictObject({ headers: z.record(z.string(), z.string()).register(z.globalRegistry, { template: true }) }),
});
const transports = ['streamable-http', 'stdio'].map((type) =>
  defineTransportProvider(type, {
    type,
    options: z.looseObject({}),
    create: () => ({ open: () => Promise.reject(new Error('not opened by a check')) }),
  }),
);

async function check(
  entry: Record<string, unknown>,
  own: Record<string, unknown> = {},
  env: Record<string, string> = {},
) {
  const { errors, warnings, ok } = (
    await open({ plugins: [key, headers, ...transports], servers: { s: entry, countersign: own }, env })
  ).check();
  return {
    ok,
    errors: errors.map(({ code, field }) => `${code} ${field ?? ''}`.trim()),
    warnings: warnings.map(({ code, field, remedy }) =>
      `${code} ${field ?? ''} ${remedy.startsWith('Did') ? remedy : ''}`.trim(),
    ),
  };
}

test.each([
  [{ url: 'https://h', transprt_type: 'sse' }, ['UNKNOWN_FIELD transprt_type Did you mean "transport_type"?'], []],
  [{ url: 'https://h', disabled: true }, [], []],
  [
    { url: 'https://h', headers: { 'X-API-Key': 'literal', 'X-Client-ID': 'me', Authorization: 'Bearer ${T:-x}' } },
    ['LITERAL_SECRET headers.X-API-Key'],
    [],
  ],
  [{ url: 'https://h', auth: { method: 'key', value: 'literal' } }, ['LITERAL_SECRET auth.value'], []],
  [
    { url: 'https://h', auth: { method: 'key', inner: { id: 'me', value: 'literal' } } },
    ['LITERAL_SECRET auth.inner.value'],
    [],
  ],
  [{ url: 'http://h', auth: { method: 'key' } }, [], ['CREDENTIAL_OVER_HTTP url']],
  [
    { url: 'http://h', headers: { Authorization: 'Bearer hardcoded' } },
    ['LITERAL_SECRET headers.Authorization'],
    ['CREDENTIAL_OVER_HTTP url'],
  ],
  [{ url: 'http://h', headers: { 'X-Client-ID': 'me' } }, [], []],
  [{ url: 'http://h/mcp?api_key=literal' }, ['LITERAL_SECRET url.api_key'], ['CREDENTIAL_OVER_HTTP url']],
  [{ url: 'https://h/mcp?api_key=${T:-x}&page=2' }, [], []],
  [{ url: 'http://localhost:1', auth: { method: 'key' } }, [], []],
  [
    { url: 'https://h', headers: { 'X-A': '${NOPE}', 'X-B': '${env:NADA}', 'X-C': '${request:host} ${TIMESTAMP}' } },
    [],
    ['UNRESOLVED_VARIABLE headers.X-A', 'UNRESOLVED_VARIABLE headers.X-B'],
  ],
  [{ url: 'https://h', headers: { 'X-A': '${' } }, [], ['INVALID_TEMPLATE']],
  [
    { command: 'x', env: { API_TOKEN: 'literal', A: '${NOPE}' } },
    ['LITERAL_SECRET env.API_TOKEN'],
    ['UNRESOLVED_VARIABLE env.A'],
  ],
  [{ url: 'https://user:pw@h' }, [], ['CONFIG_INVALID']],
  [{ url: 'ftp://h' }, [], ['CONFIG_INVALID']],
  [{ url: 'h/mcp' }, [], ['CONFIG_INVALID']],
  [{ url: 'https://h', ca: '/nonexistent.pem' }, [], ['CONFIG_INVALID']],
  [{ url: 'https://h', clientCert: '/nonexistent.pem' }, [], ['CONFIG_INVALID']],
  [{ url: 'https://h', auth: { method: 'nothing' } }, [], ['UNKNOWN_AUTH_METHOD']],
  [
    { url: 'https://h', headers: { 'X-Key': '1', 'x-key': '2' } },
    ['LITERAL_SECRET headers.X-Key', 'LITERAL_SECRET headers.x-key'],
    ['HEADER_CONFLICT'],
  ],
])('%j', async (entry, warnings, errors) => {
  expect(await check(entry)).toEqual({ ok: errors.length === 0, warnings, errors });
});

test('NODE_TLS_REJECT_UNAUTHORIZED=0 is a warning', async () => {
  expect((await check({ url: 'https://h' }, {}, { NODE_TLS_REJECT_UNAUTHORIZED: '0' })).warnings).toEqual([
    'TLS_VALIDATION_OFF',
  ]);
});

test('a host in allowInsecureHttp is no error', async () => {
  expect((await check({ url: 'http://h:81', auth: { method: 'key' } }, { allowInsecureHttp: ['h'] })).errors).toEqual(
    [],
  );
});
