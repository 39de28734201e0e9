import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { respond, type Message } from './mcp-messages.js';

/** A request as the server received it. */
export interface ReceivedRequest {
  readonly method: string;
  readonly url: URL;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** The status that it was answered with; 0 until then. */
  status: number;
}

/** An answer in place of the server's own. */
export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface RecordingServerOptions {
  /** Whether a request's credential is good; one that isn't is answered 401. All are, by default. */
  readonly accepts?: (request: ReceivedRequest) => boolean | Promise<boolean>;
}

/** A minimal MCP server on loopback that keeps what it receives: one tool, `echo`, by streamable HTTP and by SSE. */
export interface RecordingServer {
  /** Streamable HTTP. */
  readonly url: URL;
  /** HTTP with SSE (2024-11-05). */
  readonly sseUrl: URL;
  readonly requests: ReceivedRequest[];
  /** Answers before the server does, when set: a refusal, a redirect, a 503. `undefined` leaves the request to the server. */
  answer: ((request: ReceivedRequest) => Answer | undefined | Promise<Answer | undefined>) | undefined;
  /** Cuts the event streams that are open. */
  cutStreams(): void;
  close(): Promise<void>;
}

/** Starts a recording MCP server on a free port of loopback. Close it when the test ends. */
export async function recordMcpServer({ accepts }: RecordingServerOptions = {}): Promise<RecordingServer> {
  const requests: ReceivedRequest[] = [];
  const streams = new Map<string, ServerResponse>();
  const server = createServer((incoming, outgoing) => {
    handle(incoming, outgoing).catch((error: Error) => finish(outgoing, { status: 500, body: error.message }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  async function handle(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const headers = Object.fromEntries(Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]));
    const request: ReceivedRequest = {
      method: incoming.method ?? 'GET',
      url: new URL(incoming.url ?? '/', origin),
      headers,
      body: Buffer.concat(chunks).toString('utf8'),
      status: 0,
    };
    outgoing.once('close', () => (request.status = outgoing.statusCode));
    requests.push(request);
    const refused = {
      status: 401,
      headers: { 'www-authenticate': 'Bearer realm="recording"' },
      body: '{"error":"unauthorized"}',
    };
    const own = (await recorded.answer?.(request)) ?? (accepts && !(await accepts(request)) ? refused : undefined);
    request.status = own?.status ?? 200;
    if (own) return finish(outgoing, own);
    if (request.method === 'DELETE') return finish(outgoing, { status: 200 });
    if (request.method === 'GET') return openStream(request.url, outgoing);
    const message = JSON.parse(request.body) as Message;
    const response = respond(message);
    const stream = streams.get(request.url.searchParams.get('session') ?? '');
    if (stream && response) stream.write(event(response));
    if (stream || !response) return finish(outgoing, { status: 202 });
    const session: Record<string, string> = message.method === 'initialize' ? { 'mcp-session-id': randomUUID() } : {};
    // One call of each kind, so that both forms of an answer are met.
    const streamed = message.method === 'tools/call' && headers['accept']?.includes('text/event-stream');
    if (streamed)
      finish(outgoing, {
        status: 200,
        headers: { 'content-type': 'text/event-stream', ...session },
        body: event(response),
      });
    else
      finish(outgoing, {
        status: 200,
        headers: { 'content-type': 'application/json', ...session },
        body: JSON.stringify(response),
      });
  }

  function openStream(url: URL, outgoing: ServerResponse): void {
    const session = randomUUID();
    outgoing.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    outgoing.write(url.pathname === '/sse' ? `event: endpoint\ndata: /message?session=${session}\n\n` : ': open\n\n');
    streams.set(session, outgoing);
    outgoing.once('close', () => streams.delete(session));
  }

  const recorded: RecordingServer = {
    url: new URL('/mcp', origin),
    sseUrl: new URL('/sse', origin),
    requests,
    answer: undefined,
    cutStreams() {
      for (const stream of streams.values()) stream.destroy();
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return recorded;
}

const event = (message: Message): string => `event: message\ndata: ${JSON.stringify(message)}\n\n`;

function finish(outgoing: ServerResponse, { status, headers = {}, body = '' }: Answer): void {
  outgoing.writeHead(status, headers);
  outgoing.end(body);
}
