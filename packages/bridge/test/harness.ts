import { once } from 'node:events';
import {
  Agent,
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import { CountersignError, HeaderFields, type Exchange } from '@countersign/core';
import { runBridge, type BridgeOptions } from '../src/index.js';

export type Json = Record<string, unknown>;

/** The exchange without credentials: node:http and nothing else. */
export function plainExchange(): Exchange & { close(): void } {
  const agent = new Agent({ keepAlive: true });
  const exchange: Exchange = (request, signal) =>
    new Promise((resolve, reject) => {
      const fail = (cause: unknown): void =>
        reject(
          signal?.aborted
            ? (signal.reason as Error)
            : new CountersignError('UNREACHABLE', 'The server could not be reached.', { cause }),
        );
      const body = request.body === undefined ? undefined : Buffer.from(request.body as Uint8Array);
      const outgoing = httpRequest(
        request.url,
        {
          method: request.method,
          agent,
          headers: { ...Object.fromEntries(request.headers), ...(body ? { 'content-length': body.length } : {}) },
          ...(signal ? { signal } : {}),
        },
        (response) => {
          const headers = new HeaderFields();
          for (let i = 0; i < response.rawHeaders.length; i += 2)
            headers.append(response.rawHeaders[i]!, response.rawHeaders[i + 1]!);
          resolve({
            status: response.statusCode!,
            statusText: response.statusMessage!,
            headers,
            url: request.url,
            body: response,
          });
        },
      );
      outgoing.on('error', fail);
      outgoing.end(body);
    });
  return Object.assign(exchange, { close: () => agent.destroy() });
}

export interface Heard {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly message: Json;
}

export interface TestServer {
  readonly url: URL;
  readonly heard: Heard[];
  readonly server: Server;
  close(): Promise<void>;
}

type Handler = (heard: Heard, response: ServerResponse, request: IncomingMessage) => void | Promise<void>;

/** An HTTP server on loopback that keeps what it heard. */
export async function serve(handler: Handler, port = 0): Promise<TestServer> {
  const heard: Heard[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('error', () => undefined);
    request.on('end', () => {
      const body = Buffer.concat(parts).toString();
      let message: Json = {};
      try {
        message = JSON.parse(body) as Json;
      } catch {
        // Not every body is JSON.
      }
      const one: Heard = { method: request.method!, url: request.url!, headers: request.headers, body, message };
      heard.push(one);
      void handler(one, response, request);
    });
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`),
    heard,
    server,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export const json = (
  response: ServerResponse,
  body: unknown,
  headers: Record<string, string> = {},
  status = 200,
): void => {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
};

export const initializeResult = {
  protocolVersion: '2025-06-18',
  capabilities: { tools: { listChanged: true } },
  serverInfo: { name: 'test', version: '1' },
};

/** Answers the handshake and refuses GET; `rest` answers what else comes. */
export function mcp(rest: Handler, session = 's1'): Handler {
  return (heard, response, request) => {
    if (heard.method === 'DELETE') return void response.writeHead(200).end();
    if (heard.method === 'GET' && heard.headers['last-event-id'] === undefined)
      return void response.writeHead(405).end();
    if (heard.message['method'] === 'initialize') {
      return json(
        response,
        { result: initializeResult, jsonrpc: '2.0', id: heard.message['id'] },
        { 'mcp-session-id': session },
      );
    }
    if (heard.message['method'] === 'notifications/initialized') return void response.writeHead(202).end();
    return rest(heard, response, request);
  };
}

export interface TestClient {
  readonly stdin: PassThrough;
  readonly stdout: PassThrough;
  /** Everything that the bridge wrote, a message a line. */
  readonly received: Json[];
  send(message: Json | string): void;
  /** Sends a request and waits for its answer. */
  request(method: string, params?: unknown, id?: unknown): Promise<Json>;
  /** The first message that fits, come or to come. */
  next(fits: (message: Json) => boolean): Promise<Json>;
  answers(id: unknown): Json[];
  initialize(): Promise<Json>;
  /** Ends stdin and waits for the bridge. */
  end(): Promise<void>;
  readonly done: Promise<void>;
}

/** A client with a bridge of its own. */
export function bridged(options: Partial<BridgeOptions> & { url: URL }): TestClient {
  const stdin = new PassThrough();
  const stdout = new PassThrough();
  const exchange = options.exchange ? undefined : plainExchange();
  const done = runBridge({ exchange: exchange!, name: 'test', ...options, stdin, stdout }).finally(() =>
    exchange?.close(),
  );
  const received: Json[] = [];
  const waiting: { fits: (message: Json) => boolean; resolve: (message: Json) => void }[] = [];
  let rest = '';
  stdout.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop()!;
    for (const line of lines) {
      const message = JSON.parse(line) as Json;
      received.push(message);
      for (const one of [...waiting]) {
        if (!one.fits(message)) continue;
        waiting.splice(waiting.indexOf(one), 1);
        one.resolve(message);
      }
    }
  });
  let lastId = 100;
  const client: TestClient = {
    stdin,
    stdout,
    received,
    done,
    send: (message) => void stdin.write(`${typeof message === 'string' ? message : JSON.stringify(message)}\n`),
    next: (fits) => {
      const come = received.find(fits);
      return come ? Promise.resolve(come) : new Promise((resolve) => waiting.push({ fits, resolve }));
    },
    request: (method, params, id = ++lastId) => {
      const answer = client.next((message) => message['id'] === id && message['method'] === undefined);
      client.send({ jsonrpc: '2.0', id, method, ...(params === undefined ? {} : { params }) });
      return answer;
    },
    answers: (id) => received.filter((message) => message['id'] === id && message['method'] === undefined),
    initialize: async () => {
      const answer = await client.request(
        'initialize',
        { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'c', version: '1' } },
        0,
      );
      client.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
      return answer;
    },
    end: async () => {
      stdin.end();
      await done;
    },
  };
  return client;
}

export const errorOf = (message: Json): { code: number; message: string; data?: { code?: string } } =>
  message['error'] as { code: number; message: string; data?: { code?: string } };
