import { once } from 'node:events';
import { get } from 'node:http';
import { afterAll, afterEach, expect, jest, test } from '@jest/globals';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  apiKey,
  bearer,
  closeEverything,
  createUvx,
  everything,
  everythingCommand,
  startEverything,
  startGuard,
} from './index.mjs';

jest.setTimeout(20_000); // A busy machine takes seconds to start a server.

/** @type {{ close(): Promise<void> }[]} */
const open = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});
afterAll(closeEverything);

/** @template {{ close(): Promise<void> }} T @param {T} closable */
function closing(closable) {
  open.push(closable);
  return closable;
}

/** @param {import('@modelcontextprotocol/sdk/shared/transport.js').Transport} transport */
async function connect(transport) {
  const client = closing(new Client({ name: 'test', version: '0' }));
  await client.connect(transport);
  return client;
}

/** @param {URL} url @param {Record<string, string>} [headers] */
const http = (url, headers = {}) =>
  /** @type {any} */ (new StreamableHTTPClientTransport(url, { requestInit: { headers } }));

/** @param {Client} client */
const echoed = async (client) =>
  /** @type {any} */ (await client.callTool({ name: 'echo', arguments: { message: 'hi' } })).content[0].text;

test('lets a client with the token reach the server, over streamable HTTP', async () => {
  const guard = closing(await startGuard({ target: (await everything()).url, verify: bearer('right') }));
  const client = await connect(http(guard.url, { authorization: 'Bearer right' }));

  expect(await echoed(client)).toBe('Echo: hi');
  expect(guard.called('tools/call')).toMatchObject([
    { method: 'POST', path: '/mcp', status: 200, refused: false, headers: { authorization: 'Bearer right' } },
  ]);
});

test('refuses a wrong token with a challenge, and the server behind sees nothing', async () => {
  const target = closing(await startGuard({}));
  const guard = closing(await startGuard({ target: target.url, verify: bearer('right') }));

  const answer = await fetch(guard.url, { method: 'POST', body: '{}', headers: { authorization: 'Bearer wrong' } });

  expect(answer.status).toBe(401);
  expect(answer.headers.get('www-authenticate')).toContain('error="invalid_token"');
  expect(guard.requests).toMatchObject([{ refused: true, status: 401 }]);
  expect(target.requests).toEqual([]);
});

test('reads the set of accepted tokens at each request', async () => {
  const tokens = new Set(['old']);
  const guard = closing(await startGuard({ verify: bearer(tokens) }));
  const status = async () => (await fetch(guard.url, { headers: { authorization: 'Bearer old' } })).status;

  expect(await status()).toBe(404);
  tokens.delete('old');
  expect(await status()).toBe(401);
});

test('streams server-sent events as they come, and cuts them on demand', async () => {
  const guard = closing(await startGuard({ target: (await everything('sse')).url, verify: bearer('right') }));
  expect(guard.url.pathname).toBe('/sse');
  const opened = guard.nextStream();
  const headers = { authorization: 'Bearer right' };
  const transport = /** @type {any} */ (
    new SSEClientTransport(guard.url, {
      requestInit: { headers },
      eventSourceInit: { fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, ...headers } }) },
    })
  );
  const client = await connect(transport);
  expect((await opened).method).toBe('GET');
  expect(await echoed(client)).toBe('Echo: hi');
  expect(guard.openStreams).toBe(1);

  const ended = guard.nextEnd();
  const noticed = new Promise((resolve) => (client.onerror = resolve));
  expect(guard.disconnect()).toBe(1);
  expect((await ended).path).toBe('/sse');
  await noticed;
  expect(guard.openStreams).toBe(0);
});

test('tells the server that the client went away', async () => {
  const target = closing(await startGuard({ target: (await everything('sse')).url }));
  const guard = closing(await startGuard({ target: target.url }));
  const opened = target.nextStream();
  const request = get(guard.url);
  request.on('error', () => {});
  await opened;
  const [response] = await once(request, 'response');

  const ended = target.nextEnd();
  response.destroy();
  await ended;
  expect(target.openStreams).toBe(0);
});

test('says 502, when there is nobody behind it', async () => {
  const gone = await startGuard({});
  await gone.close();
  const guard = closing(await startGuard({ target: gone.url }));

  expect((await fetch(guard.url)).status).toBe(502);
});

test('asks the target for another path, where paths are rewritten', async () => {
  const guard = closing(await startGuard({ target: (await everything()).url, rewrite: () => '/mcp' }));
  const client = await connect(http(new URL('/runtimes/arn%3Aaws/invocations?qualifier=DEFAULT', guard.origin)));

  expect(await echoed(client)).toBe('Echo: hi');
  expect(guard.requests[0]?.path).toBe('/runtimes/arn%3Aaws/invocations?qualifier=DEFAULT');
});

test("gives answers the guard's own date, where it has a clock", async () => {
  const clock = () => Date.parse('2026-01-02T03:04:05Z');
  const guard = closing(await startGuard({ target: (await everything()).url, clock }));

  expect((await fetch(guard.url)).headers.get('date')).toBe('Fri, 02 Jan 2026 03:04:05 GMT');
  expect(guard.requests[0]?.time).toEqual(new Date(clock()));
});

test('takes an API key once with each id, and only with a fresh timestamp', async () => {
  let now = Date.parse('2026-01-02T03:04:05Z');
  const guard = closing(await startGuard({ verify: apiKey({ key: 'k', windowSeconds: 30 }), clock: () => now }));
  const headers = (/** @type {object} */ changes = {}) => ({
    'x-api-key': 'k',
    'x-timestamp': new Date(now).toISOString(),
    'x-request-id': '1',
    ...changes,
  });
  const status = async (/** @type {Record<string, string>} */ sent) =>
    (await fetch(guard.url, { headers: sent })).status;

  expect(await status(headers())).toBe(404);
  expect(await status(headers())).toBe(401);
  expect(await status(headers({ 'x-request-id': '2' }))).toBe(404);
  expect(await status(headers({ 'x-request-id': '3', 'x-api-key': 'K' }))).toBe(401);
  expect(await status(headers({ 'x-request-id': '', 'x-api-key': 'k' }))).toBe(401);
  expect(await status(headers({ 'x-request-id': '4', 'x-timestamp': 'yesterday' }))).toBe(401);
  const stored = headers({ 'x-request-id': '5' });
  now += 31_000;
  expect(await status(stored)).toBe(401);
  expect(await status(headers({ 'x-request-id': '6', 'x-timestamp': new Date(now + 31_000).toISOString() }))).toBe(401);
});

test('starts server-everything once for all guards, and over stdio by its command', async () => {
  expect(await everything()).toBe(await everything());
  const client = await connect(
    /** @type {any} */ (new StdioClientTransport({ ...everythingCommand(), stderr: 'ignore' })),
  );
  expect(await echoed(client)).toBe('Echo: hi');
});

test('ends server-everything on request', async () => {
  const own = await startEverything();
  expect((await fetch(own.url)).status).toBe(400);
  await own.close();
  await expect(fetch(own.url)).rejects.toThrow();
});

test('runs the filesystem server as uvx would', async () => {
  const uvx = closing(await createUvx());
  const transport = new StdioClientTransport({
    command: `${uvx.folder}/uvx`,
    args: ['mcp-server-filesystem', uvx.folder],
    stderr: 'ignore',
  });
  const client = await connect(/** @type {any} */ (transport));
  const result = /** @type {any} */ (
    await client.callTool({ name: 'list_directory', arguments: { path: uvx.folder } })
  );
  expect(result.content[0].text).toBe('[FILE] uvx');
});
