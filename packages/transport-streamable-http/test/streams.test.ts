import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, test } from '@jest/globals';
import { findCountersignError } from '@countersign/core';
import { CallToolResultSchema, LoggingMessageNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { closeAll, connect, hastyClock, withResolvers } from './connect.js';
import { event, json, sessionScript, startScripted, type Received, type Script } from './scripted-server.js';

afterEach(closeAll);

let server: Awaited<ReturnType<typeof startScripted>>;
let connected: Awaited<ReturnType<typeof connect>>;
let clock: ReturnType<typeof hastyClock>;
let heard: unknown[];
afterEach(async () => {
  await connected.close();
  await server.close();
});

async function start(script: Script, more: Record<string, unknown> = {}): Promise<void> {
  server = await startScripted(script);
  clock = hastyClock();
  connected = await connect({ type: 'streamable-http', url: server.url, timeout: 5, ...more }, { clock });
  heard = [];
  connected.client.setNotificationHandler(
    LoggingMessageNotificationSchema,
    ({ params }) => void heard.push(params.data),
  );
}

const calls = (script: Script): Script => sessionScript(['one'], script);
const call = (): Promise<unknown> => connected.client.callTool({ name: 'work' });
const outcome = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'answered',
    (error: unknown) => findCountersignError(error)?.code ?? String(error),
  );
const stream = (response: ServerResponse): ServerResponse =>
  response.writeHead(200, { 'content-type': 'text/event-stream' });
const log = (data: unknown): unknown => ({
  jsonrpc: '2.0',
  method: 'notifications/message',
  params: { level: 'info', data },
});
const result = (id: unknown): unknown => ({ jsonrpc: '2.0', id, result: { content: [] } });
const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A notification, another, and the answer; with ids they can be had again after each. */
const three = (id: unknown, withIds: boolean): string[] =>
  [log('ä'), log('b'), result(id)].map((message, index) => event(message, withIds ? `e${index}` : undefined));

/** Each byte beside an event's end, and every sixth besides. */
function cuts(bytes: Buffer): number[] {
  return Array.from({ length: bytes.length + 1 }, (_, at) => at).filter(
    (at) => at % 6 === 0 || bytes.subarray(Math.max(0, at - 3), at + 3).includes('\n\n'),
  );
}

describe('an answer of three events, cut at any byte', () => {
  const bytes = (withIds: boolean): Buffer => Buffer.from(three(1, withIds).join(''));

  test.each([
    ['by its end', (response: ServerResponse) => void response.end()],
    ['by a reset', (response: ServerResponse) => void response.socket?.resetAndDestroy()],
  ])(
    '%s, comes whole and once where events have ids',
    async (_, cut) => {
      for (const at of cuts(bytes(true))) {
        await start((request, response) => {
          if (request.headers['last-event-id'] === undefined)
            return calls(
              ({ message }, answer) =>
                void stream(answer).write(Buffer.from(three(message?.id, true).join('')).subarray(0, at), () =>
                  cut(answer),
                ),
            )(request, response);
          const last = Number(request.headers['last-event-id'].slice(1));
          stream(response).end(
            three(1, true)
              .slice(last + 1)
              .join(''),
          );
        });
        const first = Buffer.byteLength(three(1, true)[0]!);
        expect([at, await outcome(call())]).toEqual([at, at >= first ? 'answered' : 'UNREACHABLE']);
        expect(heard).toEqual(at >= first ? ['ä', 'b'] : []);
        await connected.close();
        await server.close();
      }
      await start(calls(() => {}));
    },
    60_000,
  );

  test('ends with an error at once where they have none, unless it was there', async () => {
    const whole = bytes(false);
    for (const at of cuts(whole)) {
      await start(
        calls(
          (_, response) => void stream(response).write(whole.subarray(0, at), () => response.socket?.resetAndDestroy()),
        ),
      );
      expect([at, await outcome(call())]).toEqual([at, at === whole.length ? 'answered' : 'UNREACHABLE']);
      await connected.close();
      await server.close();
    }
    await start(calls(() => {}));
  }, 60_000);
});

describe('a stream that is cut', () => {
  test('is tried five times, each after a longer pause, and then the request fails with the reason', async () => {
    await start((request, response) => {
      if (request.headers['last-event-id']) return void response.writeHead(503).end();
      return calls((_, answer) => void stream(answer).end(event(log('begun'), 'e0')))(request, response);
    });
    const error = await call().catch((failure: unknown) => failure);
    expect(findCountersignError(error)).toMatchObject({
      code: 'UNREACHABLE',
      message: 'The connection to server orders was lost before tools/call was answered.',
    });
    expect(clock.sleeps).toEqual([1_000, 2_000, 4_000, 8_000, 16_000]);
  });

  test.each([
    [250, 250],
    [0, 100],
    [9_000_000_000, 30_000],
  ])('is opened again when the server says (%i ms), within reason', async (retry, expected) => {
    await start((request, response) => {
      if (request.headers['last-event-id']) return void stream(response).end(event(result(1)));
      return calls((_, answer) => void stream(answer).end(`retry: ${retry}\n${event(log('begun'), 'e0')}`))(
        request,
        response,
      );
    });
    expect(await outcome(call())).toBe('answered');
    expect(clock.sleeps).toEqual([expected]);
  });

  test('is not opened again after its answer, though that was an error', async () => {
    await start(
      calls(
        ({ message }, response) =>
          void stream(response).end(
            event({ jsonrpc: '2.0', id: message?.id, error: { code: -32602, message: 'no' } }, 'e0'),
          ),
      ),
    );
    await expect(call()).rejects.toThrow('no');
    await tick();
    expect(server.requests.some(({ headers }) => headers['last-event-id'])).toBe(false);
    expect(clock.sleeps).toEqual([]);
  });

  test('is opened again after silence: sse_read_timeout', async () => {
    await start(
      (request, response) => {
        if (request.headers['last-event-id']) return void stream(response).end(event(result(1)));
        return calls((_, answer) => void stream(answer).write(event(log('begun'), 'e0')))(request, response);
      },
      { sse_read_timeout: 0.2 },
    );
    expect(await outcome(call())).toBe('answered');
  });

  test("is opened again where it is the session's own, and no notification is lost or comes twice", async () => {
    const done = withResolvers();
    await start((request, response) => {
      if (request.method !== 'GET') return calls(() => {})(request, response);
      const last = Number(request.headers['last-event-id'] ?? 0);
      if (last >= 5) done.resolve();
      stream(response);
      for (const number of [last + 1, last + 2]) if (number <= 6) response.write(event(log(number), String(number)));
      if (last < 5) response.end();
    });
    await done.promise;
    while (heard.length < 6) await tick();
    expect(heard).toEqual([1, 2, 3, 4, 5, 6]);
  });
});

describe('an answer beyond the cap', () => {
  const endless = (response: ServerResponse, piece: string): void => {
    const write = (): void => {
      while (!response.destroyed && response.write(piece.repeat(1_000)));
    };
    response.on('drain', write);
    write();
  };

  test.each([
    ['an endless line', 'text/event-stream', 'data: ', 'x'],
    ['endless data', 'text/event-stream', '', 'data: xxxx\n'],
    ['endless JSON', 'application/json', '[', '{},'],
  ])('fails its request alone: %s', async (_, type, begin, piece) => {
    let first = true;
    await start(
      calls(({ message }, response) => {
        if (!first) return json(response, result(message?.id));
        first = false;
        response.writeHead(200, { 'content-type': type }).write(begin);
        endless(response, piece);
      }),
      { maxMessageSize: 300_000 },
    );
    const before = process.memoryUsage().rss;
    expect(await outcome(call())).toBe('TOO_LARGE');
    expect(process.memoryUsage().rss - before).toBeLessThan(60_000_000);
    expect(await outcome(call())).toBe('answered');
  });

  test('is not what twenty thousand small events are', async () => {
    await start(
      calls(
        ({ message }, response) =>
          void stream(response).end(event(log('tiny')).repeat(20_000) + event(result(message?.id))),
      ),
      { maxMessageSize: 100_000 },
    );
    // Beside the client, which takes its time over each.
    const { transport } = connected;
    const toClient = transport.onmessage!;
    let count = 0;
    transport.onmessage = (message: object) => ('method' in message ? void count++ : toClient(message));
    expect(await outcome(call())).toBe('answered');
    expect(count).toBe(20_000);
  });
});

describe('a request', () => {
  test.each([
    ['whose head never comes', () => {}],
    [
      'whose stream stays silent',
      (_: Received, response: ServerResponse) => void stream(response).write(': hello\n\n'),
    ],
    [
      'whose stream brings other things',
      (_: Received, response: ServerResponse) => void stream(response).write(event(log('working'))),
    ],
    [
      'whose JSON drips',
      (_: Received, response: ServerResponse) =>
        void response.writeHead(200, { 'content-type': 'application/json' }).write('{"json'),
    ],
    ['that is accepted and forgotten', (_: Received, response: ServerResponse) => void response.writeHead(202).end()],
  ])('ends at its deadline, and the server is told: %s', async (_, script) => {
    const gone = withResolvers();
    await start(
      calls((request, response) => {
        if (request.message?.method !== 'tools/call') return void response.writeHead(202).end();
        response.on('close', gone.resolve);
        return script(request, response);
      }),
      { timeout: 0.4 },
    );
    expect(await outcome(call())).toBe('TIMEOUT');
    await gone.promise;
    while (server.called('notifications/cancelled').length === 0) await tick();
    expect(server.called('notifications/cancelled')[0]?.message?.params).toMatchObject({ requestId: 1 });
  });

  test('that the caller gives up is forgotten, and its stream ended', async () => {
    const gone = withResolvers();
    await start(
      calls((request, response) => {
        if (request.message?.method !== 'tools/call') return void response.writeHead(202).end();
        response.on('close', gone.resolve);
        stream(response).write(event(log('working'), 'e0'));
      }),
    );
    const abort = new AbortController();
    const given = connected.client.callTool({ name: 'work' }, undefined, { signal: abort.signal });
    while (heard.length === 0) await tick();
    abort.abort('enough');
    await expect(given).rejects.toThrow('enough');
    await gone.promise;
    expect(connected.errors).toEqual([]);
  });

  test("whose answer comes on the session's stream is answered", async () => {
    let own: ServerResponse | undefined;
    await start((request, response) => {
      if (request.method === 'GET') return void (own = stream(response)).flushHeaders();
      return calls(({ message }, answer) => {
        answer.writeHead(202).end();
        own?.write(event(result(message?.id)));
      })(request, response);
    });
    while (!own) await tick();
    expect(await outcome(call())).toBe('answered');
  });

  test('whose answer comes in a batch, after garbage, or with an id of text is answered', async () => {
    const answers = [
      (id: unknown, response: ServerResponse) => json(response, [log('batched'), result(id)]),
      (id: unknown, response: ServerResponse) =>
        void stream(response).end(`data: {"half\n\nnonsense\n\n: comment\n\n${event(result(id))}`),
      (id: unknown, response: ServerResponse) => json(response, result(String(id))),
    ];
    await start(
      calls(({ message }, response) => {
        const script = answers.shift();
        if (script) script(message?.id, response);
        else response.end();
      }),
    );
    expect([await outcome(call()), await outcome(call()), await outcome(call())]).toEqual([
      'answered',
      'answered',
      'answered',
    ]);
  });

  test('whose error has no id is answered with it', async () => {
    await start(
      calls((_, response) =>
        json(response, { jsonrpc: '2.0', id: null, error: { code: -32700, message: 'Parse error' } }),
      ),
    );
    await expect(call()).rejects.toThrow('Parse error');
  });

  test.each([
    ['HTML', (response: ServerResponse) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<p>')],
    [
      'half of JSON',
      (response: ServerResponse) =>
        void response.writeHead(200, { 'content-type': 'application/json' }).end('{"jsonrpc":'),
    ],
    ['the answer to another', (response: ServerResponse) => json(response, result(99))],
  ])('that is answered with %s fails at once', async (_, script) => {
    await start(calls((__, response) => script(response)));
    expect(await outcome(call())).toBe('SERVER_ERROR');
  });

  test('goes on from an earlier one with a resumption token', async () => {
    const tokens: string[] = [];
    await start((request, response) => {
      if (request.headers['last-event-id'] === 'from-before')
        return void stream(response).end(event(result('an earlier id'), 'next'));
      return calls(() => {})(request, response);
    });
    const resumed = connected.client.request({ method: 'tools/call', params: { name: 'work' } }, CallToolResultSchema, {
      resumptionToken: 'from-before',
      onresumptiontoken: (token) => tokens.push(token),
    });
    expect(await outcome(resumed)).toBe('answered');
    expect(tokens).toEqual(['next']);
    expect(server.called('tools/call')).toEqual([]);
  });
});

test('a stream that stays open after its answer does not hold up the close', async () => {
  let open: ServerResponse | undefined;
  await start(calls(({ message }, response) => void (open = stream(response)).write(event(result(message?.id)))));
  expect(await outcome(call())).toBe('answered');
  const ended = once(open!, 'close');
  await connected.client.close();
  await ended;
});
