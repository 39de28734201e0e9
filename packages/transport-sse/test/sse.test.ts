import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, test } from '@jest/globals';
import { findCountersignError } from '@countersign/core';
import { LoggingMessageNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { closeAll, connect, hastyClock, patientClock, type Surroundings } from './connect.js';
import { event, initializeResult, startScripted, startSse, type Received, type SseSession } from './scripted-server.js';

afterEach(closeAll);

let connected: Awaited<ReturnType<typeof connect>> | undefined;
let server: { close(): Promise<void>; url: string };
afterEach(async () => {
  await connected?.close();
  connected = undefined;
  await server.close();
});

async function start(
  calls: (request: Received, session: SseSession) => void = answer,
  more: Record<string, unknown> = {},
  endpoint?: (id: number) => string,
  surroundings: Surroundings = { clock: hastyClock() },
) {
  const started = await startSse(calls, endpoint);
  server = started;
  connected = await connect({ type: 'sse', url: started.url, timeout: 5, ...more }, surroundings);
  return started;
}

const answer = ({ message }: Received, session: SseSession, eventId?: string): void =>
  session.send(
    { jsonrpc: '2.0', id: message?.id, result: { content: [{ type: 'text', text: `session ${session.id}` }] } },
    eventId,
  );

const call = async (): Promise<unknown> => (await connected!.client.callTool({ name: 'work' })).content;
const answered = (session: number): unknown => [{ type: 'text', text: `session ${session}` }];
const failure = (promise: Promise<unknown>): Promise<Error> =>
  promise.then(
    () => Promise.reject(new Error('It did not fail.')),
    (error: unknown) => error as Error,
  );
const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a stream that is cut', () => {
  test('goes on after the last event where the server keeps the session, and brings the answer that was pending', async () => {
    let asked: Received | undefined;
    const scripted = await start(
      (request, session) => {
        session.send(
          { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'begun' } },
          'event-7',
        );
        asked = request;
      },
      {},
      () => '/message',
    );
    const begun = new Promise<void>((resolve) =>
      connected!.client.setNotificationHandler(LoggingMessageNotificationSchema, () => resolve()),
    );
    const pending = call();
    await begun;
    scripted.sessions[0]!.stream.destroy();
    await scripted.opened(2);
    expect(scripted.sessions[1]?.opened.headers['last-event-id']).toBe('event-7');
    answer(asked!, scripted.sessions[1]!);
    expect(await pending).toEqual(answered(1));
    expect(scripted.called('initialize')).toHaveLength(1);
  });

  test('is followed by another session, in which what was pending is lost and what was not yet sent is answered', async () => {
    let held = 1;
    const clock = patientClock();
    const scripted = await start(
      (request, session) => {
        if (held-- <= 0) answer(request, session);
      },
      {},
      undefined,
      { clock },
    );
    const pending = failure(call());
    while (scripted.called('tools/call').length === 0) await tick();
    scripted.sessions[0]!.stream.end();
    while (clock.sleeps.length === 0) await tick();
    const later = call();
    expect(findCountersignError(await pending)?.code).toBe('UNREACHABLE');
    expect((await pending).message).toContain('was lost before the answer came');
    expect(await later).toEqual(answered(1));
    expect(scripted.requests.map(({ method, message }) => message?.method ?? method)).toEqual([
      'GET',
      'initialize',
      'notifications/initialized',
      'tools/call',
      'GET',
      'initialize',
      'notifications/initialized',
      'tools/call',
    ]);
    expect(scripted.called('initialize')[1]?.message?.params).toEqual(
      scripted.called('initialize')[0]?.message?.params,
    );
  });

  test('at any byte of its answer ends each request once', async () => {
    const bytes = Buffer.from(
      event({ jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'a' } }) +
        event({ jsonrpc: '2.0', id: 1, result: { content: [] } }) +
        event({ jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'b' } }),
    );
    const end = bytes.indexOf('\n\n', bytes.indexOf('"id":1')) + 2;
    for (const cut of Array.from({ length: bytes.length }, (_, index) => index).filter(
      (index) => index % 7 === 0 || Math.abs(index - end) < 3,
    )) {
      const running = await start((_, { stream }) => void stream.write(bytes.subarray(0, cut), () => stream.destroy()));
      const result = await call().then(
        () => 'answered',
        (error: unknown) => findCountersignError(error)?.code,
      );
      expect([cut, result]).toEqual([cut, cut >= end ? 'answered' : 'UNREACHABLE']);
      await connected!.close();
      await running.close();
    }
    server = await startScripted(() => {});
  }, 30_000);

  test('waits as long as the server says, and longer after each failure', async () => {
    const clock = hastyClock();
    const scripted = await start(answer, {}, undefined, { clock });
    scripted.sessions[0]!.stream.write('retry: 250\n\n');
    scripted.sessions[0]!.stream.end();
    await scripted.opened(2);
    expect(clock.sleeps).toEqual([250]);
  });

  test('is cut by silence: sse_read_timeout', async () => {
    const scripted = await start(answer, { sse_read_timeout: 0.1 });
    await scripted.opened(3);
    expect(await call()).toEqual(answered(scripted.sessions.length - 1));
  });

  test('leaves what is sent meanwhile an error when the server is gone, and works when it is back', async () => {
    const scripted = await startSse(answer);
    const port = Number(new URL(scripted.url).port);
    server = scripted;
    connected = await connect({ type: 'sse', url: scripted.url, timeout: 5 });
    scripted.sessions[0]!.stream.write('retry: 100\n\n');
    await scripted.close();
    const error = await failure(call());
    expect(error).toMatchObject({ code: 'UNREACHABLE', server: 'orders' });
    const back = await startSse(answer, undefined, port);
    server = back;
    expect(await call()).toEqual(answered(0));
  });
});

describe('a session that is gone though its stream is open', () => {
  test('is replaced after the 404, and the message sent again', async () => {
    const scripted = await start((request, session) => answer(request, session));
    scripted.forget(0);
    expect(await Promise.all([call(), call()])).toEqual([answered(1), answered(1)]);
    expect(scripted.called('initialize')).toHaveLength(2);
  });
});

describe('the endpoint', () => {
  test.each([
    'http://127.0.0.1:9/message',
    '//elsewhere.example/message',
    'https://127.0.0.1/message',
    'javascript:alert(1)',
    'file:///etc/passwd',
    'http://user:password@127.0.0.1/',
    'http://[',
  ])('is refused at another origin: %s', async (endpoint) => {
    const scripted = await startSse(answer, () => endpoint);
    server = scripted;
    await expect(connect({ type: 'sse', url: scripted.url })).rejects.toMatchObject({ code: 'FOREIGN_ORIGIN' });
    expect(scripted.requests).toHaveLength(1);
  });

  test('is taken relative to the stream, with its query', async () => {
    const scripted = await start(answer, {}, (id) => `../post?session=${id}#part`);
    await call();
    expect(scripted.called('tools/call')[0]?.path).toBe('/post?session=0');
  });
});

describe('a stream that is not one', () => {
  test.each([
    [
      'a 404',
      { code: 'SERVER_ERROR', status: 404 },
      (_: Received, response: ServerResponse) => void response.writeHead(404).end(),
    ],
    [
      'HTML',
      { code: 'SERVER_ERROR' },
      (_: Received, response: ServerResponse) =>
        void response.writeHead(200, { 'content-type': 'text/html' }).end('<p>'),
    ],
    [
      'a stream without an endpoint',
      { code: 'UNREACHABLE' },
      (_: Received, response: ServerResponse) =>
        void response.writeHead(200, { 'content-type': 'text/event-stream' }).end(event({})),
    ],
    [
      'a stream that never names one',
      { code: 'TIMEOUT' },
      (_: Received, response: ServerResponse) =>
        void response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': hello\n\n'),
    ],
  ])('fails the start: %s', async (_, expected, script) => {
    server = await startScripted(script);
    await expect(connect({ type: 'sse', url: server.url, timeout: 0.3 })).rejects.toMatchObject(expected);
  });

  test('of an endless line ends at the cap, for what was pending too, and is connected again', async () => {
    let first = true;
    const scripted = await start(
      (request, session) => {
        if (!first) return answer(request, session);
        first = false;
        session.stream.write(`data: ${'x'.repeat(300_000)}`);
      },
      { maxMessageSize: 100_000 },
    );
    expect(findCountersignError(await failure(call()))?.code).toBe('TOO_LARGE');
    await scripted.opened(2);
    expect(await call()).toEqual(answered(1));
    expect(connected!.errors.map((error) => findCountersignError(error)?.code)).toEqual(['TOO_LARGE']);
  });

  test('of garbage is reported, and goes on', async () => {
    const scripted = await start();
    scripted.sessions[0]!.stream.write('data: {"half":\n\ndata: 7\n\nnonsense\n\n');
    expect(await call()).toEqual(answered(0));
    expect(connected!.errors).toHaveLength(2);
  });
});

describe('a request', () => {
  test('ends at its deadline, and the server is told', async () => {
    const scripted = await start(() => {}, { timeout: 0.3 });
    expect(findCountersignError(await failure(call()))?.code).toBe('TIMEOUT');
    while (scripted.called('notifications/cancelled').length === 0) await tick();
    expect(scripted.called('notifications/cancelled')[0]?.message?.params).toMatchObject({ requestId: 1 });
  });

  test('is answered with an error at close', async () => {
    await start(() => {});
    const pending = failure(call());
    await tick();
    await connected!.client.close();
    expect((await pending).message).toContain('was closed');
  });
});

test('the negotiated version is sent after initialize', async () => {
  const scripted = await start();
  await call();
  expect(scripted.called('initialize')[0]?.headers['mcp-protocol-version']).toBeUndefined();
  expect(scripted.called('tools/call')[0]?.headers['mcp-protocol-version']).toBe(initializeResult.protocolVersion);
});
