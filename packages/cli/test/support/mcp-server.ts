import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

type Answer = (params: Record<string, unknown>) => unknown;

export interface ScriptedServer {
  readonly url: string;
  /** Methods, in the order that they came. */
  readonly methods: string[];
  readonly close: () => Promise<void>;
}

/** A server whose every answer is the test's: for what no honest server says. Answers JSON, without sessions. */
export async function startScripted(answers: Readonly<Record<string, Answer>>): Promise<ScriptedServer> {
  const methods: string[] = [];
  const all: Record<string, Answer> = {
    initialize: ({ protocolVersion }) => ({
      protocolVersion,
      capabilities: { tools: {} },
      serverInfo: { name: 'scripted', version: '1' },
    }),
    ...answers,
  };
  const server = createServer((request, response) => void handle(request, response));
  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'POST') return void response.writeHead(405).end();
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const {
      id,
      method,
      params = {},
    } = JSON.parse(Buffer.concat(chunks).toString()) as {
      id?: number;
      method: string;
      params?: Record<string, unknown>;
    };
    methods.push(method);
    if (id === undefined) return void response.writeHead(202).end();
    const answer = all[method];
    const outcome = answer
      ? { result: await answer(params) }
      : { error: { code: -32601, message: `Method not found: ${method}` } };
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ jsonrpc: '2.0', id, ...outcome }));
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    methods,
    close: () => new Promise((resolve) => (server.closeAllConnections(), server.close(() => resolve()))),
  };
}
