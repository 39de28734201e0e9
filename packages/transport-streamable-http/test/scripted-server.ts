import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

export interface Received {
  readonly method: string;
  readonly headers: IncomingMessage['headers'];
  readonly message: { id?: unknown; method?: string; params?: Record<string, unknown> } | undefined;
}

export type Script = (request: Received, response: ServerResponse) => void | Promise<void>;

/** A server that does what its script says, and remembers what it was sent. */
export async function startScripted(script: Script) {
  const requests: Received[] = [];
  const server = createServer((incoming, outgoing) => {
    outgoing.on('error', () => {});
    void (async () => {
      const body = await text(incoming);
      const message = body ? (JSON.parse(body) as Received['message']) : undefined;
      const request: Received = { method: incoming.method!, headers: incoming.headers, message };
      requests.push(request);
      await script(request, outgoing);
    })();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
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

export function json(
  response: ServerResponse,
  value: unknown,
  headers: Record<string, string> = {},
  status = 200,
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
}

export const event = (data: unknown, id?: string): string =>
  `${id === undefined ? '' : `id: ${id}\n`}data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`;

/** Answers what every client sends at its start, and leaves the rest to `calls`. A GET is answered 405. */
export function sessionScript(sessionIds: string[], calls: Script): Script {
  let next = 0;
  return (request, response) => {
    if (request.method === 'GET' && !request.headers['last-event-id']) return void response.writeHead(405).end();
    if (request.message?.method === 'initialize') {
      const session = sessionIds[next++];
      return json(
        response,
        { jsonrpc: '2.0', id: request.message.id, result: initializeResult },
        session === undefined ? {} : { 'mcp-session-id': session },
      );
    }
    if (request.message?.method === 'notifications/initialized') return void response.writeHead(202).end();
    return calls(request, response);
  };
}
