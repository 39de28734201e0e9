import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

export interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly message: { id?: unknown; method?: string; params?: Record<string, unknown> } | undefined;
}

export type Script = (request: Received, response: ServerResponse) => void | Promise<void>;

/** A server that does what its script says, and remembers what it was sent. */
export async function startScripted(script: Script, port = 0) {
  const requests: Received[] = [];
  const server = createServer((incoming, outgoing) => {
    outgoing.on('error', () => {});
    void (async () => {
      const body = await text(incoming);
      const message = body ? (JSON.parse(body) as Received['message']) : undefined;
      const request: Received = { method: incoming.method!, path: incoming.url!, headers: incoming.headers, message };
      requests.push(request);
      await script(request, outgoing);
    })();
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/sse`,
    requests,
    called: (method: string) => requests.filter(({ message }) => message?.method === method),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

export const initializeResult = {
  protocolVersion: '2025-11-25',
  capabilities: { tools: {} },
  serverInfo: { name: 'scripted', version: '1' },
};

export const event = (data: unknown, id?: string): string =>
  `${id === undefined ? '' : `id: ${id}\n`}data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`;

/** A session of HTTP+SSE: its stream, and what was posted to its endpoint. */
export interface SseSession {
  readonly id: number;
  readonly stream: ServerResponse;
  readonly opened: Received;
  send(message: unknown, eventId?: string): void;
}

/** A server of HTTP+SSE that starts a session for each GET, answers what every client sends at its start, and leaves the rest to `calls`. */
export async function startSse(
  calls: (request: Received, session: SseSession) => void = () => {},
  endpoint = (id: number) => `/message?session=${id}`,
  port = 0,
) {
  const sessions: SseSession[] = [];
  const forgotten = new Set<number>();
  const waiting: (() => void)[] = [];
  const server = await startScripted((request, response) => {
    if (request.method === 'GET') {
      const id = sessions.length;
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(`event: endpoint\ndata: ${endpoint(id)}\n\n`);
      sessions.push({
        id,
        stream: response,
        opened: request,
        send: (message, eventId) => void response.write(event(message, eventId)),
      });
      for (const wake of waiting.splice(0)) wake();
      return;
    }
    const session =
      sessions[Number(new URL(request.path, 'http://x').searchParams.get('session') ?? sessions.length - 1)];
    if (!session || session.stream.destroyed || forgotten.has(session.id)) return void response.writeHead(404).end();
    response.writeHead(202).end();
    const { id, method } = request.message ?? {};
    if (method === 'initialize') session.send({ jsonrpc: '2.0', id, result: initializeResult });
    else if (method === 'tools/call' || !method?.startsWith('notifications/')) calls(request, session);
  }, port);
  return {
    ...server,
    sessions,
    /** Knows a session no more, and keeps its stream open. */
    forget: (id: number) => void forgotten.add(id),
    /** Resolves when there are so many sessions. */
    async opened(count: number): Promise<void> {
      while (sessions.length < count) await new Promise<void>((resolve) => waiting.push(resolve));
    },
  };
}
