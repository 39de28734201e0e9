import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { CountersignError } from '@countersign/core';
import {
  bridged,
  errorOf,
  json,
  mcp,
  plainExchange,
  serve,
  type Json,
  type TestClient,
  type TestServer,
} from './harness.js';

jest.setTimeout(30_000);
const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});
const server = async (...args: Parameters<typeof serve>): Promise<TestServer> => {
  const one = await serve(...args);
  open.push(one);
  return one;
};
const client = (options: Parameters<typeof bridged>[0]): TestClient => {
  const one = bridged(options);
  open.push({ close: () => one.end() });
  return one;
};
const echo = mcp((heard, response) =>
  json(response, { result: { got: heard.message['params'] }, jsonrpc: '2.0', id: heard.message['id'] }),
);
const event = (message: unknown, id?: string): string =>
  `${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(message)}\n\n`;

describe('a revision without sessions', () => {
  const VERSION = 'io.modelcontextprotocol/protocolVersion';
  const meta = { [VERSION]: '2026-07-28' };
  const fields = async (method: string, params: Json): Promise<Json> => {
    const remote = await server(echo);
    expect((await client({ url: remote.url }).request(method, params))['result']).toEqual({ got: params });
    const { headers } = remote.heard[0]!;
    return { version: headers['mcp-protocol-version'], method: headers['mcp-method'], name: headers['mcp-name'] };
  };

  test.each([
    ['tools/call', { name: 'add' }, 'add'],
    ['resources/read', { uri: 'demo://a b' }, 'demo://a b'],
    ['tools/list', {}, undefined],
    ['toString', { name: 'add' }, undefined],
    ['prompts/get', { name: 'grüße' }, '=?base64?Z3LDvMOfZQ==?='],
    ['prompts/get', { name: 'a\r\nx-evil: 1' }, '=?base64?YQ0KeC1ldmlsOiAx?='],
    ['prompts/get', { name: '=?base64?YQ==?=' }, '=?base64?PT9iYXNlNjQ/WVE9PT89?='],
    ['prompts/get', { name: 7 }, undefined],
  ])('has its fields made of the message: %s %j', async (method, params, name) => {
    expect(await fields(method, { ...params, _meta: meta })).toEqual({ version: '2026-07-28', method, name });
  });

  test('has none where the message does not say its revision, or a session was begun', async () => {
    const none = { version: undefined, method: undefined, name: undefined };
    expect(await fields('tools/call', { name: 'x', arguments: { [VERSION]: '2026-07-28' } })).toEqual(none);
    const remote = await server(echo);
    const one = client({ url: remote.url });
    await one.initialize();
    await one.request('tools/call', { name: 'x', _meta: meta });
    expect(remote.heard.at(-1)!.headers['mcp-method']).toBeUndefined();
  });
});

describe('a session', () => {
  test('begins with one request, and carries its id and protocol version from then on', async () => {
    const remote = await server(echo);
    const one = client({ url: remote.url });
    const answer = await one.initialize();
    expect(remote.heard.map(({ method }) => method)).toEqual(['POST']);
    expect(answer['result']).toMatchObject({ serverInfo: { name: 'test' } });
    await one.request('tools/call', { name: 'x' });
    const [first, , call] = remote.heard.filter(({ method }) => method === 'POST');
    expect(first!.headers['mcp-protocol-version']).toBeUndefined();
    expect(first!.headers.accept).toBe('application/json, text/event-stream');
    expect(call!.headers).toMatchObject({
      'mcp-session-id': 's1',
      'mcp-protocol-version': '2025-06-18',
      'content-type': 'application/json',
    });
  });

  test('ends with DELETE at the end of stdin', async () => {
    const remote = await server(echo);
    const one = bridged({ url: remote.url });
    await one.initialize();
    await one.end();
    expect(remote.heard).toContainEqual(
      expect.objectContaining({
        method: 'DELETE',
        headers: expect.objectContaining({ 'mcp-session-id': 's1' }) as unknown,
      }),
    );
  });

  test('holds requests until the server has heard that the client is initialized', async () => {
    const remote = await server(echo);
    const one = client({ url: remote.url });
    one.send({ jsonrpc: '2.0', id: 0, method: 'initialize', params: { protocolVersion: '2025-06-18' } });
    one.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
    await one.request('tools/list');
    expect(remote.heard.filter(({ method }) => method === 'POST').map(({ message }) => message['method'])).toEqual([
      'initialize',
      'notifications/initialized',
      'tools/list',
    ]);
  });

  test('that the server drops is begun again once for all, and what it refused is sent again', async () => {
    let session = 0;
    let live = '';
    const remote = await server((heard, response) => {
      const { method, id } = heard.message;
      if (heard.method === 'GET') return void response.writeHead(405).end();
      if (method === 'initialize') {
        live = `s${++session}`;
        return json(
          response,
          { jsonrpc: '2.0', id, result: { protocolVersion: '2025-06-18' } },
          { 'mcp-session-id': live },
        );
      }
      if (heard.headers['mcp-session-id'] !== live) return void response.writeHead(404).end();
      if (id === undefined) return void response.writeHead(202).end();
      json(response, { jsonrpc: '2.0', id, result: { session: live } });
    });
    const one = client({ url: remote.url });
    await one.initialize();
    for (let round = 1; round <= 100; round++) {
      await one.request('tools/list');
      live = 'gone';
      const answers = await Promise.all([1, 2, 3].map((n) => one.request('tools/call', { n }, `${round}-${n}`)));
      for (const answer of answers) expect(answer['result']).toEqual({ session: `s${round + 1}` });
    }
    expect(session).toBe(101);
    expect(new Set(one.received.map(({ id }) => id)).size).toBe(one.received.length);
    const initializes = remote.heard.filter(({ message }) => message['method'] === 'initialize');
    expect(new Set(initializes.map(({ body }) => body)).size).toBe(1);
    expect(remote.heard.filter(({ message }) => message['method'] === 'notifications/initialized')).toHaveLength(101);
  });

  test('keeps subscriptions and the log level when it is begun again', async () => {
    let live = '';
    let session = 0;
    const remote = await server((heard, response) => {
      const { method, id } = heard.message;
      if (heard.method === 'GET') return void response.writeHead(405).end();
      if (method === 'initialize')
        return json(response, { jsonrpc: '2.0', id, result: {} }, { 'mcp-session-id': (live = `s${++session}`) });
      if (heard.headers['mcp-session-id'] !== live)
        return json(
          response,
          { jsonrpc: '2.0', id: null, error: { code: -32000, message: 'Bad Request: No valid session ID provided' } },
          {},
          400,
        );
      if (id === undefined) return void response.writeHead(202).end();
      json(response, { jsonrpc: '2.0', id, result: {} });
    });
    const one = client({ url: remote.url });
    await one.initialize();
    await one.request('resources/subscribe', { uri: 'a:1' });
    await one.request('resources/subscribe', { uri: 'a:2' });
    await one.request('resources/unsubscribe', { uri: 'a:1' });
    await one.request('logging/setLevel', { level: 'debug' });
    live = 'gone';
    await one.request('tools/list');
    const anew = remote.heard
      .filter(({ headers }) => headers['mcp-session-id'] === 's2')
      .map(({ message }) => [message['method'], message['params']]);
    expect(anew).toEqual(
      expect.arrayContaining([
        ['resources/subscribe', { uri: 'a:2' }],
        ['logging/setLevel', { level: 'debug' }],
      ]),
    );
    expect(anew).not.toContainEqual(['resources/subscribe', { uri: 'a:1' }]);
  });

  test('that the server drops at once each time ends in an error, not in a loop', async () => {
    const remote = await server(mcp((_, response) => void response.writeHead(404).end()));
    const one = client({ url: remote.url });
    await one.initialize();
    expect(errorOf(await one.request('tools/call')).message).toContain('404');
    expect(remote.heard.length).toBeLessThanOrEqual(16);
  });
});

describe('answers', () => {
  test('keep their bytes, unknown members and big numbers included, on one line', async () => {
    const text =
      '{\n "jsonrpc": "2.0",\r\n "id": 7, "x-new": [1e400, 12345678901234567890],\n "result": {"text": "a\\nb \\u00e9 é"}\n}';
    const remote = await server(
      mcp(
        (_, response) => void response.writeHead(200, { 'content-type': 'application/json; charset=utf-8' }).end(text),
      ),
    );
    const one = client({ url: remote.url });
    await one.initialize();
    const line = new Promise<string>((resolve) =>
      one.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString())),
    );
    one.send('{"id":7,"method":"tools/call","jsonrpc":"2.0"}');
    expect(await line).toBe(`${text.replace(/[\r\n]/g, ' ')}\n`);
  });

  test('come from an event stream with the notifications and requests before them', async () => {
    const remote = await server(
      mcp((heard, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write(`: comment\n\n${event({ jsonrpc: '2.0', method: 'notifications/progress', params: {} })}`);
        response.write(event({ jsonrpc: '2.0', id: 7, method: 'sampling/createMessage' }));
        response.end(event({ jsonrpc: '2.0', id: heard.message['id'], result: { ok: 1 } }));
      }),
    );
    const one = client({ url: remote.url });
    await one.initialize();
    await one.request('tools/call', {}, 'a');
    expect(one.received.slice(1).map(({ method, id }) => method ?? id)).toEqual([
      'notifications/progress',
      'sampling/createMessage',
      'a',
    ]);
  });

  test('to a batch come as the server gave them', async () => {
    const remote = await server(
      mcp((heard, response) =>
        json(
          response,
          (heard.message as unknown as Json[])
            .filter(({ id }) => id !== undefined)
            .map(({ id }) => ({ jsonrpc: '2.0', id, result: {} })),
        ),
      ),
    );
    const one = client({ url: remote.url });
    await one.initialize();
    one.send(
      JSON.stringify([
        { jsonrpc: '2.0', id: 1, method: 'a' },
        { jsonrpc: '2.0', method: 'n' },
        { jsonrpc: '2.0', id: 2, method: 'b' },
      ]),
    );
    const batch = (await one.next(Array.isArray)) as unknown as Json[];
    expect(batch.map(({ id }) => id)).toEqual([1, 2]);
  });

  test.each([
    ['a number', '5'],
    ['zero', '0'],
    ['null', 'null'],
    ['an empty string', '""'],
    ['a string with escapes', '"a\\u00e9\\"\\n"'],
    ['a fraction', '1.0'],
  ])('reach an id that is %s', async (_, id) => {
    const remote = await server(echo);
    const one = client({ url: remote.url });
    await one.initialize();
    const before = one.received.length;
    one.send(`{"jsonrpc":"2.0","id":${id},"method":"tools/call"}`);
    await one.next((message) => one.received.indexOf(message) >= before);
    expect(one.received.slice(before)).toEqual([{ jsonrpc: '2.0', id: JSON.parse(id) as unknown, result: {} }]);
  });

  test('to two requests of one id are two', async () => {
    const remote = await server(echo);
    const one = client({ url: remote.url });
    await one.initialize();
    one.send({ jsonrpc: '2.0', id: 1, method: 'a' });
    one.send({ jsonrpc: '2.0', id: 1, method: 'b' });
    await one.request('c');
    while (one.answers(1).length < 2) await one.request('c');
    expect(one.answers(1)).toHaveLength(2);
  });

  test('that the server gives twice, or to nobody, are passed on once', async () => {
    const remote = await server(
      mcp((heard, response) => {
        const answer = event({ jsonrpc: '2.0', id: heard.message['id'], result: {} });
        response
          .writeHead(200, { 'content-type': 'text/event-stream' })
          .end(answer + event({ jsonrpc: '2.0', id: 99, result: {} }) + answer);
      }),
    );
    const one = client({ url: remote.url });
    await one.initialize();
    await one.request('a', {}, 1);
    await one.request('a', {}, 2);
    expect(one.received.map(({ id }) => id)).toEqual([0, 1, 2]);
  });

  test('may come on the stream of the server after a 202', async () => {
    const remote = await server((heard, response) => {
      if (heard.message['method'] === 'initialize') return echo(heard, response, undefined as never);
      if (heard.method === 'GET') {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write(': hello\n\n');
        remote.server.once('answer', (id) => response.write(event({ jsonrpc: '2.0', id: id as number, result: {} })));
        return;
      }
      response.writeHead(202).end();
      if (heard.message['id'] !== undefined) remote.server.emit('answer', heard.message['id']);
    });
    const one = client({ url: remote.url });
    await one.initialize();
    while (!remote.heard.some(({ method }) => method === 'GET')) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await one.request('tools/call', {}, 5)).toMatchObject({ id: 5, result: {} });
  });
});

describe('errors', () => {
  test.each([
    ['an HTTP status', 500, 'text/plain', 'oops', -32000, '500'],
    [
      'a JSON-RPC error of the server',
      400,
      'application/json',
      '{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no such thing"}}',
      -32600,
      'no such thing',
    ],
    [
      'a JSON-RPC error without an id and with a 200',
      200,
      'application/json',
      '{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"no such thing"}}',
      -32000,
      'no such thing',
    ],
    ['an answer that is HTML', 200, 'text/html', '<p>', -32000, 'text/html'],
    ...[
      ['{"jsonrpc":"2.0","id":"x","result":{"content":[{"type":"text","text":"yy', 'was cut within a string'],
      ['{"jsonrpc":"2.0","id":"x","result":{"content":[{}]', 'was cut between tokens'],
      ['{"jsonrpc":"2.0","id":"x","result":{}} and more', 'has something behind it'],
      ['{"jsonrpc":"2.0","id":"x","result":{}}\n{"jsonrpc":"2.0","id":"x","result":{}}', 'is there twice'],
    ].map(([body, what]) => [`an answer that ${what}`, 200, 'application/json', body!, -32000, 'no answer'] as const),
    ['an answer that is empty', 200, 'application/json', '', -32000, 'no answer'],
    [
      'an answer to another request',
      200,
      'application/json',
      '{"jsonrpc":"2.0","id":"other","result":{}}',
      -32000,
      'no answer',
    ],
    ['a stream that ends without an answer', 200, 'text/event-stream', 'data: {}\n\n', -32000, 'lost'],
    ['401', 401, 'text/plain', '', -32000, '401'],
  ])('%s', async (_, status, type, body, code, message) => {
    const remote = await server(
      mcp((__, response) => void response.writeHead(status, { 'content-type': type }).end(body)),
    );
    const one = client({ url: remote.url });
    await one.initialize();
    const error = errorOf(await one.request('tools/call'));
    expect(error.code).toBe(code);
    expect(error.message).toContain(message);
  });

  test('of the exchange carry code and remedy', async () => {
    const one = client({
      url: new URL('http://127.0.0.1:1/'),
      exchange: () =>
        Promise.reject(new CountersignError('UNRESOLVED_VARIABLE', 'Header X needs Y, which is not set.')),
    });
    const error = errorOf(await one.initialize());
    expect(error).toMatchObject({ code: -32000, data: { code: 'UNRESOLVED_VARIABLE' } });
    expect(error.message).toContain('Header X needs Y');
    expect(error.message).toContain('.env');
  });

  test("that nobody knows don't show their text", async () => {
    const one = client({
      url: new URL('http://127.0.0.1:1/'),
      exchange: () => Promise.reject(new TypeError('Invalid value: s3cret-canary')),
    });
    expect(JSON.stringify(await one.initialize())).not.toContain('canary');
  });

  test('come at the deadline, and a late answer is passed over', async () => {
    const late: (() => void)[] = [];
    const remote = await server(
      mcp((heard, response) => {
        if (heard.message['method'] !== 'slow')
          return json(response, { jsonrpc: '2.0', id: heard.message['id'], result: {} });
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write(': alive\n\n');
        late.push(() => response.end(event({ jsonrpc: '2.0', id: heard.message['id'], result: {} })));
      }),
    );
    const one = client({ url: remote.url, timeout: 300 });
    await one.initialize();
    expect(errorOf(await one.request('slow', {}, 1))).toMatchObject({ code: -32001, data: { code: 'TIMEOUT' } });
    for (const answer of late) answer();
    await one.request('quick');
    expect(one.answers(1)).toHaveLength(1);
    while (!remote.heard.some(({ message }) => message['method'] === 'notifications/cancelled'))
      await one.request('quick');
    expect(remote.heard.find(({ message }) => message['method'] === 'notifications/cancelled')!.message).toMatchObject({
      params: { requestId: 1 },
    });
  });
});

describe('a stream that breaks off', () => {
  const messages = (id: unknown): string[] => [
    event({ jsonrpc: '2.0', method: 'notifications/progress', params: { n: 1 } }, 'e1'),
    event({ jsonrpc: '2.0', method: 'notifications/progress', params: { n: 2 } }, 'e2'),
    event({ jsonrpc: '2.0', id, result: { ok: true } }, 'e3'),
  ];

  test('at any byte of three events is resumed, and each message comes once', async () => {
    const whole = `retry: 1\n\n${messages('x').join('')}`;
    let cut = 0;
    const remote = await server(
      mcp((heard, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        if (heard.method === 'GET') {
          const at = ['e1', 'e2', 'e3'].indexOf(heard.headers['last-event-id'] as string);
          return void response.end(
            messages(`cut${cut}`)
              .slice(at + 1)
              .join(''),
          );
        }
        const text = `retry: 1\n\n${messages(heard.message['id']).join('')}`;
        response.write(text.slice(0, cut));
        setImmediate(() => (cut % 2 ? response.destroy() : response.end()));
      }),
    );
    const one = client({ url: remote.url });
    await one.initialize();
    const firstEvent = whole.indexOf('\n\n', 10) + 2;
    for (cut = 0; cut <= whole.length; cut++) {
      const before = one.received.length;
      const answer = await one.request('tools/call', {}, `cut${cut}`);
      const came = one.received
        .slice(before)
        .map(
          ({ params, result, error }) =>
            (params as { n: number } | undefined)?.n ?? (result ? 'answer' : error ? 'error' : '?'),
        );
      if (cut < firstEvent) {
        expect(errorOf(answer).data?.code).toBe('UNREACHABLE');
        expect(came).toEqual(['error']);
      } else expect([cut, ...came]).toEqual([cut, 1, 2, 'answer']);
      expect(one.answers(`cut${cut}`)).toHaveLength(1);
    }
  });

  test('where the server has dropped the session is an error, for the request may have been run', async () => {
    const remote = await server(
      mcp((heard, response) => {
        if (heard.method === 'GET') return void response.writeHead(404).end();
        response.writeHead(200, { 'content-type': 'text/event-stream' }).end('id: e1\nretry: 1\ndata: \n\n');
      }),
    );
    const one = client({ url: remote.url });
    await one.initialize();
    expect(errorOf(await one.request('tools/call')).data?.code).toBe('UNREACHABLE');
    expect(remote.heard.filter(({ message }) => message['method'] === 'tools/call')).toHaveLength(1);
  });

  test('is asked for again where the request changes nothing', async () => {
    let times = 0;
    const remote = await server(
      mcp((heard, response) => {
        if (++times < 3) return void response.writeHead(200, { 'content-type': 'text/event-stream' }).end();
        json(response, { jsonrpc: '2.0', id: heard.message['id'], result: { times } });
      }),
    );
    const one = client({ url: remote.url });
    await one.initialize();
    expect(await one.request('tools/list')).toMatchObject({ result: { times: 3 } });
  });

  test('of the server itself is opened again behind its last event', async () => {
    const gets: (string | undefined)[] = [];
    const remote = await server((heard, response) => {
      if (heard.method !== 'GET') return echo(heard, response, undefined as never);
      gets.push(heard.headers['last-event-id'] as string | undefined);
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(`retry: 1\nid: g${gets.length}\ndata: {"jsonrpc":"2.0","method":"n${gets.length}"}\n\n`);
    });
    const one = client({ url: remote.url });
    await one.initialize();
    await one.next(({ method }) => method === 'n3');
    expect(gets.slice(0, 3)).toEqual([undefined, 'g1', 'g2']);
    expect(one.received.slice(1, 4).map(({ method }) => method)).toEqual(['n1', 'n2', 'n3']);
  });

  test('by saying nothing is found out after the idle time', async () => {
    let gets = 0;
    const remote = await server((heard, response) => {
      if (heard.method !== 'GET') return echo(heard, response, undefined as never);
      gets++;
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(gets === 2 ? event({ jsonrpc: '2.0', method: 'again' }) : ': half open\n\n');
    });
    const one = client({ url: remote.url, idle: 100 });
    await one.initialize();
    await one.next(({ method }) => method === 'again');
    expect(gets).toBe(2);
  });
});

describe('a server that goes too far', () => {
  const megabyte = 'x'.repeat(1_048_576);

  test.each([
    ['an endless line', 'text/event-stream', 'data: ', megabyte],
    ['endless data lines', 'text/event-stream', '', 'data:\n'.repeat(100_000)],
    ['an endless JSON answer', 'application/json', '{"jsonrpc":"2.0","result":"', megabyte],
    ['an endless header of an event', 'text/event-stream', 'id: ', megabyte],
  ])('with %s gets an error for that request, and the rest go on', async (_, type, begin, more) => {
    const remote = await server(
      mcp((heard, response) => {
        if (heard.message['method'] === 'quick')
          return json(response, { jsonrpc: '2.0', id: heard.message['id'], result: {} });
        response.writeHead(200, { 'content-type': type });
        response.write(begin);
        const pump = (): void => {
          while (!response.destroyed && response.write(more));
        };
        response.on('drain', pump);
        pump();
      }),
    );
    const one = client({ url: remote.url, maxMessage: 4_194_304 });
    await one.initialize();
    const bad = one.request('tools/call', {}, 'bad');
    expect(await one.request('quick')).toMatchObject({ result: {} });
    expect(errorOf(await bad).data?.code).toBe('TOO_LARGE');
    expect(await one.request('quick')).toMatchObject({ result: {} });
    expect(one.answers('bad')).toHaveLength(1);
  });

  test('with events that are no messages does not reach the client', async () => {
    const remote = await server(
      mcp((heard, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.end(
          `data: hello\n\ndata: {"a":1}\n\nevent: ping\ndata: {"jsonrpc":"2.0","method":"x"}\n\n${event({ jsonrpc: '2.0', id: heard.message['id'], result: {} })}`,
        );
      }),
    );
    const one = client({ url: remote.url });
    await one.initialize();
    await one.request('tools/call', {}, 1);
    expect(one.received).toHaveLength(2);
  });
});

test('what a server says in its status line is redacted', async () => {
  const remote = await server(mcp((_heard, response) => void response.writeHead(500, 'oops canary').end()));
  const one = client({ url: remote.url, redact: (text) => text.replaceAll('canary', '***') });
  await one.initialize();
  expect(errorOf(await one.request('tools/call')).message).toContain('500 oops ***');
});

test('a stream that asks for no pause and leads nowhere is asked ever more seldom', async () => {
  let asked = 0;
  const remote = await server((heard, response, request) => {
    const events = (text: string) => void response.writeHead(200, { 'content-type': 'text/event-stream' }).end(text);
    if (heard.method === 'GET' && ++asked) return events('');
    return mcp(() => events('id: 1\nretry: 0\ndata:\n\n'))(heard, response, request);
  });
  const one = client({ url: remote.url, timeout: 1500 });
  await one.initialize();
  expect(errorOf(await one.request('tools/call')).code).toBe(-32001);
  expect(asked).toBeLessThan(12);
});

test('a server that has given a session hears of an end before its first answer', async () => {
  const remote = await server((heard, response) => {
    if (heard.method === 'POST')
      response.writeHead(200, { 'content-type': 'text/event-stream', 'mcp-session-id': 'early' }).write(': wait\n\n');
    else response.writeHead(200).end();
  });
  const stop = new AbortController();
  const one = bridged({ url: remote.url, signal: stop.signal });
  one.send({ jsonrpc: '2.0', id: 1, method: 'initialize', params: {} });
  while (remote.heard.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  await new Promise((resolve) => setTimeout(resolve, 100));
  stop.abort();
  await one.done;
  expect(remote.heard.at(-1)).toMatchObject({ method: 'DELETE', headers: { 'mcp-session-id': 'early' } });
});

describe('a client', () => {
  test('that sends garbage, half lines and objects that are no messages is told, and goes on', async () => {
    const remote = await server(echo);
    const one = client({ url: remote.url });
    await one.initialize();
    one.send('garbage');
    one.send('{}');
    one.send('{"id":3}');
    one.send('{"id":,"method":"a"}');
    one.send('{"id":[1],"method":"a"}');
    one.send('{"id":"cut,"method":"a"}');
    one.send('');
    one.stdin.write(
      Buffer.concat([
        Buffer.from('{"jsonrpc":"2.0","id":4,"method":"a","params":{"x":"'),
        Buffer.from([0xff, 0xfe]),
        Buffer.from('"}}\r\n'),
      ]),
    );
    one.stdin.write('{"jsonrpc":"2.0","id":5,');
    await one.next(({ id }) => id === 4);
    one.stdin.write('"method":"b"}\n');
    await one.next(({ id }) => id === 5);
    expect(one.received.slice(1).map(({ id, error }) => [id, (error as { code: number } | undefined)?.code])).toEqual(
      expect.arrayContaining([
        [null, -32700],
        [null, -32600],
        [3, -32600],
        [4, undefined],
        [5, undefined],
      ]),
    );
  });

  test.each([
    ['passes', 1_000_000, 'result'],
    ['over the cap is refused', 5_000_000, 'error'],
  ])('whose message %s keeps its bridge', async (_, size, outcome) => {
    const remote = await server(
      mcp((heard, response) =>
        json(response, { jsonrpc: '2.0', id: heard.message['id'], result: { length: heard.body.length } }),
      ),
    );
    const one = client({ url: remote.url, maxMessage: 4_194_304 });
    await one.initialize();
    const answer = await one.request('tools/call', { text: 'é"'.repeat(size / 4) });
    expect(answer).toHaveProperty(outcome);
    one.send(`{"method":"a","params":"${'x'.repeat(size)}","jsonrpc":"2.0","id":"last"}`);
    expect(await one.next(({ id }) => id === 'last')).toHaveProperty(outcome);
    expect(await one.request('tools/call')).toHaveProperty('result');
  });

  test('that cancels gets no error for what it cancelled, and the connection is let go', async () => {
    const closed: Promise<unknown>[] = [];
    const remote = await server(
      mcp((heard, response) => {
        if (heard.message['id'] === undefined) return void response.writeHead(202).end();
        closed.push(new Promise((resolve) => response.on('close', resolve)));
      }),
    );
    const one = client({ url: remote.url });
    await one.initialize();
    one.send({ jsonrpc: '2.0', id: 1, method: 'tools/call' });
    while (closed.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    one.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } });
    await Promise.all(closed);
    expect(remote.heard.at(-1)!.message['method']).toBe('notifications/cancelled');
    await one.end();
    expect(one.answers(1)).toHaveLength(0);
  });

  test('keeps the order of its notifications and answers', async () => {
    const remote = await server(
      mcp((heard, response) => void setTimeout(() => response.writeHead(202).end(), heard.message['n'] === 0 ? 50 : 0)),
    );
    const one = client({ url: remote.url });
    await one.initialize();
    for (let n = 0; n < 20; n++)
      one.send(n % 2 ? { jsonrpc: '2.0', id: n, result: {}, n } : { jsonrpc: '2.0', method: 'x', n });
    while (!remote.heard.some(({ message }) => message['n'] === 19))
      await new Promise((resolve) => setTimeout(resolve, 5));
    expect(remote.heard.map(({ message }) => message['n']).filter((n) => n !== undefined)).toEqual([
      ...Array(20).keys(),
    ]);
  });

  test('that does not read makes the server wait, and loses nothing', async () => {
    const text = 'x'.repeat(100_000);
    let written = 0;
    const remote = await server(
      mcp((heard, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        let n = 0;
        const pump = (): void => {
          while (n < 200) {
            written++;
            if (!response.write(event({ jsonrpc: '2.0', method: 'notifications/message', params: { n: n++, text } })))
              return void response.once('drain', pump);
          }
          response.end(event({ jsonrpc: '2.0', id: heard.message['id'], result: {} }));
        };
        pump();
      }),
    );
    const one = client({ url: remote.url, timeout: 2500 });
    await one.initialize();
    one.stdout.pause();
    const answer = one.request('tools/call', {}, 1);
    await new Promise((resolve) => setTimeout(resolve, 4000));
    // What the machine's sockets take, and no more.
    expect(written).toBeLessThan(150);
    one.stdout.resume();
    expect(await answer).toHaveProperty('result');
    expect(one.received.flatMap(({ params }) => (params as { n: number } | undefined)?.n ?? [])).toEqual([
      ...Array(200).keys(),
    ]);
  });
});

test('a server that never stops sending events gets its request an error at the deadline, though the client is slow', async () => {
  const remote = await server(
    mcp((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const pump = (): void => {
        while (
          !response.destroyed &&
          response.write(event({ jsonrpc: '2.0', method: 'x', params: 'y'.repeat(100_000) }))
        );
      };
      response.on('drain', pump);
      pump();
    }),
  );
  const one = client({ url: remote.url, timeout: 500 });
  await one.initialize();
  const slow = setInterval(() => {
    one.stdout.pause();
    setTimeout(() => one.stdout.resume(), 20);
  }, 40);
  expect(errorOf(await one.request('tools/call')).data?.code).toBe('TIMEOUT');
  clearInterval(slow);
  one.stdout.resume();
});

describe('the end', () => {
  test('answers what is pending with an error, within two seconds', async () => {
    const remote = await server(mcp((heard) => void heard));
    const one = bridged({ url: remote.url });
    await one.initialize();
    one.send({ jsonrpc: '2.0', id: 1, method: 'tools/call' });
    const begun = Date.now();
    await one.end();
    expect(Date.now() - begun).toBeLessThan(2000);
    expect(errorOf(one.answers(1)[0]!).data?.code).toBe('ABORTED');
    expect(remote.heard.some(({ method }) => method === 'DELETE')).toBe(true);
  });

  test('waits a moment for answers under way, for a client that only pipes', async () => {
    const remote = await server(echo);
    const one = bridged({ url: remote.url });
    one.send({ jsonrpc: '2.0', id: 0, method: 'initialize', params: {} });
    one.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
    one.stdin.write(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' }));
    await one.end();
    expect(one.answers(1)).toEqual([{ jsonrpc: '2.0', id: 1, result: {} }]);
  });

  test('by the signal comes while initialize is pending, and with a server that does not take DELETE', async () => {
    for (const hangs of ['initialize', 'DELETE']) {
      const remote = await server((heard, response, request) => {
        if (heard.message['method'] === hangs || heard.method === hangs) return;
        return echo(heard, response, request);
      });
      const stop = new AbortController();
      const one = bridged({ url: remote.url, signal: stop.signal });
      const answer = one.request('initialize', {}, 0);
      while (remote.heard.length < 1) await new Promise((resolve) => setTimeout(resolve, 5));
      if (hangs === 'DELETE') await answer;
      one.send({ jsonrpc: '2.0', id: 1, method: 'tools/list' });
      const begun = Date.now();
      stop.abort();
      await one.done;
      expect(Date.now() - begun).toBeLessThan(2000);
      expect(one.answers(0)).toHaveLength(1);
    }
  });
});

test('a server that is killed and comes back answers every id once', async () => {
  const first = await server(echo);
  const exchange = plainExchange();
  const one = client({ url: first.url, exchange });
  await one.initialize();
  await one.request('tools/list');
  const port = Number(first.url.port);
  const asked: Promise<Json>[] = [];
  for (let n = 0; n < 20; n++) asked.push(one.request('tools/call', { n }, `k${n}`));
  await first.close();
  for (let n = 20; n < 40; n++) asked.push(one.request('tools/call', { n }, `k${n}`));
  await server(echo, port);
  await Promise.all(asked);
  for (let n = 0; n < 40; n++) expect(one.answers(`k${n}`)).toHaveLength(1);
  expect(await one.request('tools/list')).toHaveProperty('result');
  exchange.close();
});
