import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { createCountersign, memoryStore, type Countersign } from '@countersign/core';
import oauth from '@countersign/auth-oauth';
import sse from '@countersign/transport-sse';
import streamableHttp from '@countersign/transport-streamable-http';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { closeEverything, signInAt, startOidc, type Oidc } from '@countersign/test-servers';
import { createServer, request as send, type Server } from 'node:http';
import { once } from 'node:events';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { call, client, person, storedCredential } from './support.js';

let oidc: Oidc;
const open: Countersign[] = [];

beforeAll(async () => {
  oidc = await startOidc({ scopesFor: (message) => (message?.method === 'tools/call' ? ['mcp:admin'] : []) });
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((app) => app.close()));
});
afterAll(async () => {
  await oidc.close();
  await closeEverything();
});

async function start(options: Parameters<typeof client>[1] = {}) {
  const made = await client(oidc.resource, options);
  open.push(made.app);
  return made;
}

/** Where the browser is to come back. */
const callbackOf = (url: URL | undefined): URL => new URL(url?.searchParams.get('redirect_uri') ?? '');

/** A request as any program on this machine can send it. */
function knock(
  url: URL,
  headers: Record<string, string> = {},
  method = 'GET',
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const request = send({
      host: '127.0.0.1',
      port: url.port,
      path: url.pathname + url.search,
      method,
      headers: { host: url.host, ...headers },
    });
    request.on('error', reject);
    request.on('response', (response) => {
      let text = '';
      response.on('data', (chunk) => (text += String(chunk)));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    request.end();
  });
}

async function occupy(port: number, host: string): Promise<Server> {
  const server = createServer();
  server.listen(port, host);
  await once(server, 'listening');
  return server;
}

test('a server that supports discovery and registration needs no option', async () => {
  const browser = person((url) => signInAt(url));
  const store = memoryStore();
  const { app } = await start({ interaction: browser, store });
  expect(await call(app, oidc.resource)).toBe(200);
  expect(browser.events.map(({ type }) => type)).toEqual(['listening', 'opening', 'succeeded']);
  expect(await app.status('server', { detail: true })).toMatchObject({
    state: 'ready',
    principal: 'alice',
    issuer: oidc.issuer,
    scopes: ['mcp:tools'],
    audience: oidc.resource,
    refreshable: true,
    claims: { sub: 'alice' },
  });
  expect(await storedCredential(store)).toMatchObject({
    server: oidc.resource,
    issuer: oidc.issuer,
    resource: oidc.resource,
  });
});

test.each(['streamableHttp', 'sse'] as const)("signs in for the SDK's client over %s", async (transport) => {
  const server = await startOidc({ transport });
  const app = await createCountersign({
    plugins: [oauth, streamableHttp, sse],
    servers: {
      server: {
        url: server.resource,
        auth: { method: 'oauth', callbackPort: 0 },
        ...(transport === 'sse' ? { transport_type: 'sse' } : {}),
      },
    },
    interaction: person((url) => signInAt(url)),
    env: {},
  });
  const mcp = new Client({ name: 'test', version: '1' });
  await mcp.connect(await app.transport('server'));
  expect((await mcp.listTools()).tools.length).toBeGreaterThan(5);
  server.revokeAccessTokens();
  expect((await mcp.listTools()).tools.length).toBeGreaterThan(5);
  expect(server.refreshes).toBe(1);
  await mcp.close();
  await app.close();
  await server.close();
});

test('without an interaction a request ends with LOGIN_REQUIRED, and nothing is sent to the server', async () => {
  const { app } = await start();
  const before = oidc.guard.requests.length;
  await expect(call(app, oidc.resource)).rejects.toMatchObject({
    code: 'LOGIN_REQUIRED',
    remedy: 'Run `countersign login server`.',
  });
  expect(oidc.guard.requests.length).toBe(before);
});

test('requests that wait for one sign-in share it', async () => {
  const browser = person((url) => signInAt(url));
  const { app } = await start({ interaction: browser });
  const statuses = await Promise.all(Array.from({ length: 10 }, () => call(app, oidc.resource)));
  expect(new Set(statuses)).toEqual(new Set([200]));
  expect(browser.urls).toHaveLength(1);
});

describe('the callback', () => {
  test('a hundred and more forged ones are refused without a word, and the true one is heard', async () => {
    const pages: string[] = [];
    const browser = person(async (url) => {
      const callback = callbackOf(url);
      const state = url.searchParams.get('state') ?? '';
      const tries: [string, Record<string, string>?, string?][] = [
        ['?code=forged'],
        ['?code=forged&state='],
        ['?code=forged&state=wrong'],
        [`?code=forged&state=${state}x`],
        [`?code=forged&state=${state}&state=${state}`],
        ['?error=%1b%5b31mFORGED%1b%5b0m&error_description=FORGED&state=wrong'],
        [`?code=forged&state=${state}`, { host: 'evil.example' }],
        [`?code=forged&state=${state}`, { origin: 'https://evil.example' }],
        [`?code=forged&state=${state}`, {}, 'POST'],
      ];
      for (let n = 0; n < 110; n++) {
        const [search, headers, method] = tries[n % tries.length] ?? [''];
        const answer = await knock(new URL(search, callback), headers, method).catch(() => undefined);
        if (answer) {
          expect([400, 405]).toContain(answer.status);
          pages.push(answer.text);
        }
      }
      await signInAt(url);
    });
    const { app, log } = await start({ interaction: browser });
    expect(await call(app, oidc.resource)).toBe(200);
    expect(pages.length).toBeGreaterThanOrEqual(100);
    expect(JSON.stringify([log, browser.events, pages])).not.toMatch(/FORGED|forged/);
  });

  test('is heard however many connections are held open, and whatever cookies localhost has', async () => {
    const held: Socket[] = [];
    const browser = person(async (url) => {
      const callback = callbackOf(url);
      for (let n = 0; n < 600; n++) {
        const socket = connect(Number(callback.port), '127.0.0.1').on('error', () => undefined);
        await once(socket, 'connect');
        held.push(socket);
      }
      const { url: answer } = await signInAt(url, { visit: false });
      expect((await knock(answer, { cookie: `a=${'x'.repeat(20_000)}` })).status).toBe(200);
    });
    const { app } = await start({ interaction: browser });
    await app.login('server');
    await browser.settled();
    for (const socket of held) socket.destroy();
  });

  test('is static, is not cached, runs nothing and tells the next page nothing; a second one is refused', async () => {
    const pages: Response[] = [];
    const browser = person(async (url) => {
      const { url: callback } = await signInAt(url, { visit: false });
      pages.push(...(await Promise.all([fetch(callback), fetch(callback)])));
    });
    const { app } = await start({ interaction: browser });
    await app.login('server');
    await browser.settled();
    expect(pages.map(({ status }) => status).sort()).toEqual([200, 400]);
    const page = pages.find(({ status }) => status === 200);
    expect(await page?.text()).toContain('You are signed in');
    expect(page?.headers.get('content-security-policy')).toMatch(/^default-src 'none'; style-src 'sha256-/);
    expect(page?.headers.get('cache-control')).toBe('no-store');
    expect(page?.headers.get('referrer-policy')).toBe('no-referrer');
  });

  test('a person who declines is told so, here and in the browser', async () => {
    let page = '';
    const browser = person(async (url) => {
      page = (await signInAt(url, { deny: true })).text;
    });
    const { app } = await start({ interaction: browser });
    await expect(app.login('server')).rejects.toMatchObject({
      code: 'LOGIN_FAILED',
      message: expect.stringContaining('access_denied'),
    });
    await browser.settled();
    expect(page).toContain('The sign-in was declined');
  });

  test('nobody comes back: it ends in time and the port is free', async () => {
    const browser = person();
    const { app } = await start({ interaction: browser, auth: { loginTimeout: 0.3 } });
    await expect(app.login('server')).rejects.toMatchObject({
      code: 'LOGIN_FAILED',
      message: 'Nobody came back from the sign-in in time.',
    });
    const server = await occupy(Number(callbackOf(browser.urls[0]).port), '127.0.0.1');
    server.close();
  });

  test('a pasted URL serves as well, after lines that are none', async () => {
    const lines: string[] = [];
    const browser = person(undefined, lines);
    const pasted = {
      ...browser,
      ask: async () => {
        if (lines.length === 0) {
          const { url } = await signInAt(browser.urls[0] as URL, { visit: false });
          lines.push('hello', 'https://evil.example/callback?code=x&state=y', url.href);
        }
        return lines.shift() as string;
      },
    };
    const { app } = await start();
    await app.login('server', { interaction: pasted });
    expect((await app.status('server')).state).toBe('ready');
    expect(browser.events.filter(({ type }) => type === 'note')).toHaveLength(2);
  });
});

describe('a port that is taken', () => {
  let holder: Server;
  let port: number;
  beforeAll(async () => {
    holder = await occupy(0, '::1'); // squatted on one family only
    ({ port } = holder.address() as AddressInfo);
  });
  afterAll(() => void holder.close());

  test('is replaced by a free one for a client that is registered anew', async () => {
    const browser = person((url) => signInAt(url));
    const { app } = await start({ auth: { callbackPort: port }, interaction: browser });
    await app.login('server');
    expect(callbackOf(browser.urls[0]).port).not.toBe(String(port));
  });

  test('fails for a registered client, and says what holds it', async () => {
    const { app } = await start({ auth: { callbackPort: port, clientId: 'registered' }, interaction: person() });
    await expect(app.login('server')).rejects.toMatchObject({
      code: 'CALLBACK_SERVER_FAILED',
      message: expect.stringMatching(
        /^Failed to start OAuth callback server on http:\/\/localhost:\d+: the port is taken/,
      ),
      remedy: expect.stringContaining('callbackPort'),
    });
  });
});

test('more scopes are asked for with those that were there, and asking in vain ends', async () => {
  const browser = person((url) => signInAt(url));
  const { app } = await start({ interaction: browser });
  expect(await call(app, oidc.resource)).toBe(200);
  const tool = JSON.stringify({
    jsonrpc: '2.0',
    id: 2,
    method: 'tools/call',
    params: { name: 'echo', arguments: { message: 'x' } },
  });
  expect(await call(app, oidc.resource, tool)).not.toBe(403);
  expect(browser.urls.map((url) => url.searchParams.get('scope'))).toEqual([
    'mcp:tools offline_access',
    'mcp:tools offline_access mcp:admin',
  ]);
});

test('two accounts on one URL are two sign-ins', async () => {
  const store = memoryStore();
  for (const profile of ['alice', 'bob']) {
    const { app } = await start({ store, profile, interaction: person((url) => signInAt(url, { account: profile })) });
    expect(await call(app, oidc.resource)).toBe(200);
  }
  for (const profile of ['bob', 'alice']) {
    const { app } = await start({ store, profile });
    expect(await call(app, oidc.resource)).toBe(200);
    expect(await app.status('server', { detail: true })).toMatchObject({ principal: profile });
  }
});

test('logout forgets the tokens, and the server no longer takes them', async () => {
  const store = memoryStore();
  const { app } = await start({ store, interaction: person((url) => signInAt(url)) });
  await app.login('server');
  const { refreshToken } = await storedCredential(store);
  expect(await oidc.isLive(refreshToken as string)).toBe(true);
  await app.logout('server');
  expect(await storedCredential(store)).toEqual({});
  expect(await oidc.isLive(refreshToken as string)).toBe(false);
  expect((await app.status('server')).state).toBe('login_required');
});

test('a sign-in in another process is taken up by one that was told LOGIN_REQUIRED', async () => {
  const store = memoryStore();
  const waiting = await start({ store });
  await expect(call(waiting.app, oidc.resource)).rejects.toMatchObject({ code: 'LOGIN_REQUIRED' });
  const other = await start({ store, interaction: person((url) => signInAt(url)) });
  await other.app.login('server');
  expect(await call(waiting.app, oidc.resource)).toBe(200);
});
