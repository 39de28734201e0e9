import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, test } from '@jest/globals';
import { closeAll, connect, withResolvers } from './connect.js';
import {
  event,
  initializeResult,
  json,
  sessionScript,
  startScripted,
  type Received,
  type Script,
} from './scripted-server.js';

afterEach(closeAll);

type Scripted = Awaited<ReturnType<typeof startScripted>>;
type Connected = Awaited<ReturnType<typeof connect>>;
let server: Scripted;
let connected: Connected;
afterEach(async () => {
  await connected.close();
  await server.close();
});

async function start(script: Script): Promise<void> {
  server = await startScripted(script);
  connected = await connect({ type: 'streamable-http', url: server.url, timeout: 5 });
}

const answer = ({ message }: Received, response: ServerResponse): void =>
  json(response, { jsonrpc: '2.0', id: message?.id, result: { content: [] } });
const gone = (response: ServerResponse): void =>
  json(response, { jsonrpc: '2.0', id: null, error: { code: -32001, message: 'Session not found' } }, {}, 404);
const call = (name = 'work'): Promise<unknown> => connected.client.callTool({ name });
const only =
  (alive: string): Script =>
  (request, response) =>
    request.headers['mcp-session-id'] === alive ? answer(request, response) : gone(response);

describe('a session that the server has lost', () => {
  test('is replaced by one initialize for all requests in flight, which are then sent again', async () => {
    await start(sessionScript(['first', 'second', 'third'], only('second')));
    await Promise.all(Array.from({ length: 10 }, () => call()));
    expect(server.called('initialize')).toHaveLength(2);
    expect(server.called('initialize')[1]?.message?.params).toEqual(server.called('initialize')[0]?.message?.params);
    expect(server.called('initialize')[1]?.headers['mcp-session-id']).toBeUndefined();
    expect(server.called('notifications/initialized').map(({ headers }) => headers['mcp-session-id'])).toEqual([
      'first',
      'second',
    ]);
    const calls = server.called('tools/call');
    expect(calls.filter(({ headers }) => headers['mcp-session-id'] === 'second')).toHaveLength(10);
    expect(new Set(calls.map(({ message }) => message?.id)).size).toBe(10);
    expect(connected.transport.sessionId).toBe('second');
    expect(connected.errors).toEqual([]);
  });

  test('is replaced for notifications that are on their way, too', async () => {
    const renewed = withResolvers();
    let count = 0;
    await start(async (request, response) => {
      if (request.headers['mcp-session-id'] === 'second') renewed.resolve();
      if (request.message?.method !== 'notifications/roots/list_changed')
        return sessionScript([count > 0 ? 'second' : 'first'], answer)(request, response);
      if (request.headers['mcp-session-id'] === 'second') return void response.writeHead(202).end();
      if (count++ > 0) await renewed.promise;
      gone(response);
    });
    const notify = (): Promise<void> =>
      connected.transport.send({ jsonrpc: '2.0', method: 'notifications/roots/list_changed' } as never);
    await Promise.all([notify(), notify()]);
    expect(server.called('initialize')).toHaveLength(2);
    expect(server.called('notifications/roots/list_changed')).toHaveLength(4);
  });

  test('is replaced after the 400 of servers made after the examples, too', async () => {
    await start(
      sessionScript(['first', 'second'], (request, response) =>
        request.headers['mcp-session-id'] === 'second'
          ? answer(request, response)
          : json(
              response,
              {
                jsonrpc: '2.0',
                id: null,
                error: { code: -32000, message: 'Bad Request: No valid session ID provided' },
              },
              {},
              400,
            ),
      ),
    );
    await call();
    expect(server.called('initialize')).toHaveLength(2);
  });

  test('is not replaced twice for one request', async () => {
    await start(sessionScript(['first', 'second', 'third'], (_, response) => gone(response)));
    await expect(call()).rejects.toMatchObject({ code: 'SERVER_ERROR', status: 404 });
    expect(server.called('initialize')).toHaveLength(2);
  });

  test('is replaced again when the next one is lost later', async () => {
    let alive = 'first';
    await start(sessionScript(['first', 'second', 'third'], (request, response) => only(alive)(request, response)));
    for (alive of ['first', 'second', 'third']) await call();
    expect(server.called('initialize')).toHaveLength(3);
  });

  test('fails every waiting request when the server starts no other', async () => {
    let started = 0;
    await start((request, response) => {
      if (request.message?.method === 'initialize' && started++ > 0)
        return json(response, { jsonrpc: '2.0', id: request.message.id, error: { code: -32603, message: 'no' } });
      return sessionScript(['first'], (_, lost) => gone(lost))(request, response);
    });
    const results = await Promise.allSettled([call(), call(), call()]);
    expect(results.map((result) => result.status === 'rejected' && (result.reason as { code: string }).code)).toEqual(
      Array(3).fill('SERVER_ERROR'),
    );
    expect(server.called('initialize')).toHaveLength(2);
  });

  test('leaves a 404 without a session to the caller', async () => {
    await start(sessionScript([], (_, response) => gone(response)));
    await expect(call()).rejects.toMatchObject({
      status: 404,
      message: 'Server orders answered tools/call with 404 Not Found. It says: "Session not found".',
    });
    expect(server.called('initialize')).toHaveLength(1);
  });

  test('is replaced when its own stream cannot be opened again', async () => {
    const started = withResolvers();
    let opened = 0;
    await start((request, response) => {
      if (request.method === 'GET')
        return opened++ > 0
          ? gone(response)
          : void response.writeHead(200, { 'content-type': 'text/event-stream' }).end('retry: 100\n\n');
      if (request.headers['mcp-session-id'] === 'second') started.resolve();
      return sessionScript([opened > 0 ? 'second' : 'first'], answer)(request, response);
    });
    await started.promise;
    expect(server.called('initialize')).toHaveLength(2);
  });
});

describe('close', () => {
  test('ends the session within a second, though the server does not answer the DELETE', async () => {
    await start(
      sessionScript(['first'], (request, response) => {
        if (request.method !== 'DELETE') answer(request, response);
      }),
    );
    const before = Date.now();
    await connected.client.close();
    expect(Date.now() - before).toBeLessThan(1_900);
    expect(server.requests.at(-1)).toMatchObject({ method: 'DELETE', headers: { 'mcp-session-id': 'first' } });
  });

  test('answers what is pending with an error', async () => {
    await start(sessionScript(['first'], () => {}));
    const pending = call();
    while (server.called('tools/call').length === 0) await new Promise((resolve) => setImmediate(resolve));
    const failed = expect(pending).rejects.toThrow('The connection to server orders was closed.');
    await connected.client.close();
    await failed;
  });
});

test('an initialize over a stream of events names the session as well', async () => {
  await start((request, response) => {
    if (request.message?.method !== 'initialize') return sessionScript([], answer)(request, response);
    response.writeHead(200, { 'content-type': 'text/event-stream', 'mcp-session-id': 'streamed' });
    response.end(event({ jsonrpc: '2.0', id: request.message.id, result: initializeResult }));
  });
  await call();
  expect(server.called('tools/call')[0]?.headers['mcp-session-id']).toBe('streamed');
});
