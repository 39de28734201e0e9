import { Readable } from 'node:stream';
import type { RequestPreview } from './countersign.js';
import { ClaimedHeaders, holdsSecret } from './attempt.js';
import type { ExchangeRequest } from './exchange.js';
import { HeaderFields } from './header-fields.js';
import type { Redactor } from './redactor.js';
import type { SenderRequest } from './sender.js';
import type { Server } from './server.js';

/** What a client sends first, where the caller doesn't say: a request that every MCP server answers. */
const INITIALIZE = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'countersign', version: '0' } },
});

/** Runs a request through the server's exchange with a sender that records it, and answers what would have gone out. */
export async function recordRequest(
  server: Server,
  request: Partial<ExchangeRequest> | undefined,
  redactor: Redactor,
): Promise<RequestPreview> {
  let recorded: SenderRequest | undefined;
  const exchange = server.exchangeWith({
    async send(sent) {
      recorded = sent;
      return { status: 200, statusText: 'OK', headers: new HeaderFields(), body: Readable.from([]) };
    },
    close() {},
  });
  const method = request?.method ?? 'POST';
  const body = request?.body ?? (method === 'POST' ? INITIALIZE : undefined);
  const headers = request?.headers ?? [
    ['accept', 'application/json, text/event-stream'],
    ...(body === undefined ? [] : [['content-type', 'application/json'] as const]),
  ];
  const response = await exchange({
    method,
    url: request?.url ?? server.url ?? new URL('http://localhost'),
    headers: headers,
    body,
  });
  response.body.destroy();
  const sent = recorded as SenderRequest; // the exchange has answered, so it has sent
  const claims = sent.headers instanceof ClaimedHeaders ? sent.headers.claims : undefined;
  return {
    method: sent.method,
    url: sent.url,
    headers: [...sent.headers].map(([name, value]) => ({
      name,
      value,
      sensitive: holdsSecret(name, claims?.get(name)) || redactor.redact(value) !== value,
    })),
    body: typeof sent.body === 'string' ? sent.body : sent.body && Buffer.from(sent.body).toString('utf8'),
  };
}
