import type { ServerResponse } from 'node:http';
import { afterEach, expect, test } from '@jest/globals';
import { bridged, errorOf, initializeResult, serve, type Heard, type TestClient, type TestServer } from './harness.js';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

interface OldServer extends TestServer {
  readonly streams: ServerResponse[];
  say(message: unknown): void;
}

async function oldServer(
  answer?: (heard: Heard, say: (message: unknown) => void) => boolean,
  endpoint = (n: number) => `/messages?session=${n}`,
): Promise<OldServer> {
  const streams: ServerResponse[] = [];
  const say = (message: unknown): void =>
    void streams.at(-1)!.write(`event: message\ndata: ${JSON.stringify(message)}\n\n`);
  const one = await serve((heard, response) => {
    if (heard.method === 'GET') {
      streams.push(response);
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      return void response.write(`event: endpoint\ndata: ${endpoint(streams.length)}\n\n`);
    }
    if (heard.url === '/mcp') return void response.writeHead(405).end();
    response.writeHead(202).end('Accepted');
    const { id, method } = heard.message;
    if (answer?.(heard, say)) return;
    if (method === 'initialize') say({ jsonrpc: '2.0', id, result: initializeResult });
    else if (id !== undefined) say({ jsonrpc: '2.0', id, result: { stream: streams.length } });
  });
  open.push(one);
  return { ...one, streams, say };
}

const client = (options: Parameters<typeof bridged>[0]): TestClient => {
  const one = bridged(options);
  open.push({ close: () => one.end() });
  return one;
};

test('a 4xx to initialize makes the bridge take the SSE transport', async () => {
  const remote = await oldServer();
  const one = client({ url: remote.url });
  expect(await one.initialize()).toMatchObject({ id: 0, result: { serverInfo: { name: 'test' } } });
  expect(await one.request('tools/list')).toMatchObject({ result: { stream: 1 } });
  remote.say({ jsonrpc: '2.0', method: 'notifications/message' });
  await one.next(({ method }) => method === 'notifications/message');
  expect(remote.heard.map(({ method, url }) => `${method} ${url}`).slice(0, 3)).toEqual([
    'POST /mcp',
    'GET /mcp',
    'POST /messages?session=1',
  ]);
});

test.each([401, 403, 500])('a %i to initialize does not', async (status) => {
  const remote = await serve((_, response) => void response.writeHead(status).end());
  open.push(remote);
  const one = client({ url: remote.url });
  expect(errorOf(await one.initialize()).message).toContain(String(status));
  expect(remote.heard.every(({ method }) => method === 'POST')).toBe(true);
});

test('a server that is neither gets its first answer reported', async () => {
  const remote = await serve((heard, response) => void response.writeHead(heard.method === 'POST' ? 404 : 501).end());
  open.push(remote);
  expect(errorOf(await client({ url: remote.url }).initialize()).message).toContain('404');
});

test('the transport can be forced', async () => {
  const remote = await oldServer();
  const one = client({ url: remote.url, transport: 'sse' });
  await one.initialize();
  expect(remote.heard[0]!.method).toBe('GET');
});

test('an endpoint on another origin gets nothing', async () => {
  const foreign = await oldServer();
  const remote = await oldServer(undefined, () => new URL('/messages', foreign.url).href);
  const one = client({ url: remote.url, transport: 'sse' });
  expect(errorOf(await one.initialize()).data?.code).toBe('FOREIGN_ORIGIN');
  expect(foreign.heard).toHaveLength(0);
});

test('a stream that breaks off fails what is pending, and a new one serves the rest', async () => {
  const remote = await oldServer(({ message }) => message['method'] === 'hang');
  const one = client({ url: remote.url, transport: 'sse' });
  await one.initialize();
  const hanging = one.request('hang', {}, 1);
  while (!remote.heard.some(({ message }) => message['method'] === 'hang')) await one.request('tools/list');
  remote.streams[0]!.destroy();
  expect(errorOf(await hanging).data?.code).toBe('UNREACHABLE');
  expect(await one.request('tools/list')).toMatchObject({ result: { stream: 2 } });
  expect(one.answers(1)).toHaveLength(1);
  expect(one.answers(0)).toHaveLength(1);
  const second = remote.heard
    .filter(({ url }) => url === '/messages?session=2')
    .map(({ message }) => message['method']);
  expect(second).toEqual(['initialize', 'notifications/initialized', 'tools/list']);
});

test('an endless event fails what is pending, and a new stream serves the rest', async () => {
  const remote = await oldServer(({ message }) => {
    if (message['method'] !== 'flood') return false;
    const stream = remote.streams.at(-1)!;
    stream.write('data: ');
    const pump = (): void => {
      while (!stream.destroyed && stream.write('x'.repeat(65_536)));
    };
    stream.on('drain', pump);
    pump();
    return true;
  });
  const one = client({ url: remote.url, transport: 'sse', maxMessage: 1_048_576 });
  await one.initialize();
  expect(errorOf(await one.request('flood')).data?.code).toBe('TOO_LARGE');
  expect(await one.request('tools/list')).toMatchObject({ result: { stream: 2 } });
});
