import { describe, expect, test } from '@jest/globals';
import { defineVariableSource, type AuthProvider, type AuthServices, type Plugin } from '@countersign/core';
import * as z from 'zod/mini';
import { json, open, plugin, startServer } from './support.js';

/** A minimal `headers` method: templates from the options, as @countersign/auth-headers does. */
const headers = plugin(
  'headers',
  ({ template }: AuthServices, options) => {
    const templates = Object.entries(options['headers'] as Record<string, string>).map(
      ([name, text]) => [name, template(text)] as const,
    );
    return {
      async authorize(request, signal) {
        for (const [name, bound] of templates) {
          const value = await bound.render(`Header ${name}`, request, signal);
          if (value !== undefined) request.headers.set(name, value);
        }
      },
    };
  },
  {
    options: z.strictObject({
      headers: z.record(z.string(), z.string()).register(z.globalRegistry, { template: true }),
    }),
  },
);

/** Signs the final headers, and computes what its templates need from the same memory of the attempt. */
function signer(calls: string[] = []): Plugin {
  const key = {};
  return plugin(
    'signer',
    ({ env }): AuthProvider => ({
      authorize: (request) =>
        request.headers.set('x-signed-at', String(request.attempt.memo(key, () => request.attempt.time.getTime()))),
      variable(name, request) {
        calls.push(name);
        if (name === 'SIG')
          return `signature-over-${[...(request?.headers ?? [])]
            .map(([header]) => header)
            .filter((header) => header.startsWith('x-'))
            .join('+')}`;
        if (name === 'SIG_TOKEN') return env['SIG_TOKEN_SOURCE'];
        return String(request?.attempt.memo(key, () => request.attempt.time.getTime()));
      },
      challenge: async () => (calls.push('challenge'), false),
    }),
    { stage: 'signature', variables: ['STAMP', 'SIG_TOKEN'], signatures: ['SIG'] },
  );
}

async function sent(plugins: Plugin[], entry: Record<string, unknown>, env: Record<string, string> = {}, status = 200) {
  const { url, received } = await startServer((_, response) => json(response, status, {}));
  const app = await open({ plugins: [headers, ...plugins], servers: { s: { url, ...entry } }, env });
  await app.fetch('s')(url, { method: 'POST', body: '{}' });
  return received[0]?.headers ?? {};
}

describe('a bare name is answered by', () => {
  const source = defineVariableSource('test-source', {
    names: ['FROM', 'ONLY'],
    value: async (name) => `source-${name}`,
  });
  const provider = plugin('provider', () => ({ authorize() {}, variable: (name) => `provider-${name}` }), {
    variables: ['FROM'],
  });

  test('the server’s configured provider first', async () => {
    expect(
      (
        await sent(
          [provider, source],
          { headers: { 'x-a': '${FROM}' }, auth: { method: 'provider' } },
          { FROM: 'environment' },
        )
      )['x-a'],
    ).toBe('provider-FROM');
  });
  test('then the environment', async () => {
    expect((await sent([provider, source], { headers: { 'x-a': '${FROM}' } }, { FROM: 'environment' }))['x-a']).toBe(
      'environment',
    );
  });
  test('then an installed provider that lists it', async () => {
    expect((await sent([provider, source], { headers: { 'x-a': '${FROM}' } }))['x-a']).toBe('provider-FROM');
  });
  test('then a source', async () => {
    expect((await sent([source], { headers: { 'x-a': '${FROM}' } }))['x-a']).toBe('source-FROM');
  });
  test('then core', async () => {
    const { 'x-t': time, 'x-i': id } = await sent([], { headers: { 'x-t': '${TIMESTAMP}', 'x-i': '${REQUEST_ID}' } });
    expect([time, id]).toEqual([
      expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      expect.stringMatching(/^[0-9a-f-]{36}$/),
    ]);
  });
  test('core’s own names by a provider only where the server configures it', async () => {
    const stamp = (type: string) =>
      plugin(type, () => ({ authorize() {}, variable: () => type }), { variables: ['TIMESTAMP'] });
    const plugins = [stamp('one'), stamp('other')];
    const template = { headers: { 'x-t': '${TIMESTAMP}' } };
    expect((await sent(plugins, template))['x-t']).toMatch(/^\d{4}-/);
    expect((await sent(plugins, { ...template, auth: { method: 'one' } }))['x-t']).toBe('one');
  });
  test('an empty environment variable is none', async () => {
    expect((await sent([], { headers: { 'x-a': '${EMPTY:-default}' } }, { EMPTY: '' }))['x-a']).toBe('default');
  });
  test('two unconfigured providers are an error that says so', async () => {
    const other = plugin('other', () => ({ authorize() {}, variable: () => 'x' }), { variables: ['FROM'] });
    await expect(sent([provider, other], { headers: { 'x-a': '${FROM}' } })).rejects.toMatchObject({
      code: 'AMBIGUOUS_VARIABLE',
      message: expect.stringMatching(/provider and by other/),
    });
  });
  test('a provider reached by a variable alone does not authorize, but is challenged', async () => {
    const seen: string[] = [];
    const implicit = plugin(
      'implicit',
      (services) => ({
        authorize: () => void seen.push('authorize'),
        variable: () => `implicit ${services.implicit}`,
        challenge: async () => (seen.push('challenge'), false),
        observe: ({ status }) => void seen.push(String(status)),
      }),
      { variables: ['FROM'] },
    );
    expect((await sent([implicit], { headers: { 'x-a': '${FROM}' } }, {}, 401))['x-a']).toBe('implicit true');
    expect(seen).toEqual(['401', 'challenge']);
  });
});

describe('a template that names a signature', () => {
  test('configures its provider, is rendered last over the final headers, and agrees with its other names', async () => {
    const all = await sent([signer()], {
      headers: { Authorization: 'SCHEME ${SIG}', 'X-Date': '${STAMP}', 'X-Plain': 'a' },
    });
    expect(all['authorization']).toBe('SCHEME signature-over-x-date+x-plain+x-signed-at');
    expect(all['x-date']).toBe(all['x-signed-at']);
  });
  test('leaves out a header of one variable alone that has no value, and sends it when it has', async () => {
    const entry = { headers: { Authorization: '${SIG}', 'X-Token': '${SIG_TOKEN}' } };
    expect(await sent([signer()], entry)).not.toHaveProperty('x-token');
    expect((await sent([signer()], entry, { SIG_TOKEN_SOURCE: 'session' }))['x-token']).toBe('session');
  });
  test('refuses a missing value within a longer header', async () => {
    await expect(
      sent([signer()], { headers: { Authorization: '${SIG}', 'X-Token': 'a ${SIG_TOKEN}' } }),
    ).rejects.toMatchObject({ code: 'UNRESOLVED_VARIABLE' });
  });
  test('goes before the environment', async () => {
    expect((await sent([signer()], { headers: { 'X-S': '${SIG}' } }, { SIG: 'stale' }))['x-s']).toMatch(
      /^signature-over/,
    );
  });
  test('is an error in a child’s environment', async () => {
    const app = await open({ plugins: [headers, signer()], servers: { s: { command: 'x', env: { A: '${SIG}' } } } });
    await expect(app.transport('s')).rejects.toThrow();
    expect(app.check().ok).toBe(false);
  });
});

describe('what is missing', () => {
  test('is an error that names header, variable and server, and nothing is sent', async () => {
    const { url, received } = await startServer((_, response) => json(response, 200, {}));
    const app = await open({
      plugins: [headers],
      servers: { orders: { url, headers: { Authorization: 'Bearer ${NOPE}' } } },
    });
    await expect(app.fetch('orders')(url, { method: 'POST', body: '{}' })).rejects.toMatchObject({
      code: 'UNRESOLVED_VARIABLE',
      message: expect.stringMatching(/Authentication headers missing.*Authorization.*orders.*NOPE/),
    });
    expect([received, app.check().errors[0]]).toEqual([
      [],
      expect.objectContaining({ code: 'UNRESOLVED_VARIABLE', server: 'orders', field: 'headers.Authorization' }),
    ]);
  });
  test.each([[null], [5], [{}]])('a variable computed as %j is an error', async (value) => {
    const odd = plugin('odd', () => ({ authorize() {}, variable: () => value as never }), { variables: ['ODD'] });
    await expect(sent([odd], { headers: { 'x-a': '${ODD}' } })).rejects.toMatchObject({ code: 'UNRESOLVED_VARIABLE' });
  });
  test('names inherited from Object are not set', async () => {
    await expect(sent([], { headers: { 'x-a': '${constructor}' } })).rejects.toMatchObject({
      code: 'UNRESOLVED_VARIABLE',
    });
  });
});

describe('the options of a method', () => {
  const options = z.strictObject({
    secret: z.optional(z.string().register(z.globalRegistry, { secret: true })),
    nested: z.optional(z.looseObject({})),
  });
  const seen: unknown[] = [];
  const method = plugin('m', (_, given) => (seen.push(given), { authorize() {} }), { options });

  test('are expanded from the environment, at any depth', async () => {
    await sent(
      [method],
      { auth: { method: 'm', secret: '${S}', nested: { a: ['x-${S}', '$${S}'] } } },
      { S: 'secret-value' },
    );
    expect(seen.at(-1)).toEqual({ secret: 'secret-value', nested: { a: ['x-secret-value', '${S}'] } });
  });
  test('that are unknown are refused, with the nearest name', async () => {
    await expect(sent([method], { auth: { method: 'm', secrt: 'x' } })).rejects.toMatchObject({
      code: 'AUTH_OPTIONS_INVALID',
      message: expect.stringMatching(/secrt.*did you mean "secret"/),
    });
  });
  test('that need an unset variable are an error', async () => {
    await expect(sent([method], { auth: { method: 'm', secret: '${UNSET}' } })).rejects.toMatchObject({
      code: 'UNRESOLVED_VARIABLE',
      message: expect.stringMatching(/secret.*UNSET/),
    });
  });
});

describe('the registry', () => {
  test('says which package has an unknown method', async () => {
    await expect(sent([], { auth: { method: 'oauth' } })).rejects.toMatchObject({
      code: 'UNKNOWN_AUTH_METHOD',
      remedy: expect.stringContaining('npm i @countersign/auth-oauth'),
    });
  });
  test('refuses two plugins of one method', async () => {
    await expect(
      open({
        plugins: [plugin('a', () => ({ authorize() {} })), plugin('a', () => ({ authorize() {} }))],
        servers: { s: { url: 'https://h' } },
      }),
    ).rejects.toMatchObject({ code: 'DUPLICATE_AUTH_METHOD' });
  });
  test.each([
    [{ options: undefined }, /"odd" of a plugin has no options schema/],
    [{ create: undefined }, /no create function/],
    [{ type: '' }, /no type/],
  ])('refuses a definition with %j, and says what is missing', async (hole, message) => {
    const odd = plugin('odd', () => ({ authorize() {} }), hole as never);
    await expect(open({ plugins: [odd], servers: { s: { url: 'https://h' } } })).rejects.toMatchObject({
      code: 'PLUGIN_FAILED',
      message: expect.stringMatching(message),
    });
  });
  test('refuses two signatures on one server, and a method twice', async () => {
    const other = plugin('other', () => ({ authorize() {} }), { stage: 'signature' });
    await expect(sent([signer(), other], { auth: [{ method: 'signer' }, { method: 'other' }] })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
    await expect(sent([signer()], { auth: [{ method: 'signer' }, { method: 'signer' }] })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
  });
  test.each([
    [null],
    [{ name: 'x', apiVersion: 2, register() {} }],
    [{ name: 'x', apiVersion: 1 }],
    [{ apiVersion: 1, register() {} }],
  ])('refuses %j as a plugin', async (value) => {
    await expect(open({ plugins: [value as never], servers: { s: { url: 'https://h' } } })).rejects.toMatchObject({
      code: 'PLUGIN_FAILED',
    });
  });
});

describe('headers that the transport owns', () => {
  test('are passed over and reported', async () => {
    const { url, received } = await startServer((_, response) => json(response, 200, {}));
    const app = await open({
      plugins: [headers],
      servers: {
        s: {
          url,
          headers: {
            'Content-Type': 'text/evil',
            Host: 'evil',
            'Mcp-Session-Id': 'x',
            'Transfer-Encoding': 'chunked',
            'X-A': 'b',
          },
        },
      },
    });
    await app.fetch('s')(url, { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } });
    expect(received[0]?.headers).toMatchObject({
      'content-type': 'application/json',
      host: new URL(url).host,
      'x-a': 'b',
    });
    expect(received[0]?.headers).not.toHaveProperty('mcp-session-id');
    expect(app.check().warnings.map(({ code, field }) => `${code} ${field}`)).toEqual([
      'TRANSPORT_HEADER headers.content-type',
      'TRANSPORT_HEADER headers.host',
      'TRANSPORT_HEADER headers.mcp-session-id',
      'TRANSPORT_HEADER headers.transfer-encoding',
    ]);
  });
});

test('the status says why the last request could not be authorized, until one could', async () => {
  const env: Record<string, string> = {};
  const { url } = await startServer((_, response) => json(response, 200, {}));
  const late = plugin('late', (): AuthProvider => ({
    authorize() {
      if (!env['READY']) throw new Error('the vault is sealed');
    },
    status: () => ({ state: 'ready', source: 'vault' }),
  }));
  const app = await open({ plugins: [late], servers: { s: { url, auth: { method: 'late' } } } });
  await expect(app.fetch('s')(url, {})).rejects.toThrow();
  expect(await app.status('s')).toMatchObject({ state: 'failed', reason: 'the vault is sealed' });
  env['READY'] = '1';
  await app.fetch('s')(url, {});
  expect(await app.status('s')).toMatchObject({ state: 'ready', usage: { requests: 1 } });
});
