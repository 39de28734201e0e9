import type { Readable } from 'node:stream';
import { messageMeter } from './body-limits.js';
import { CountersignError } from './errors.js';
import type { Exchange, ExchangeRequest, ExchangeResponse } from './exchange.js';

/** Bytes of one JSON-RPC message, or one event of a stream. */
export const MESSAGE_CAP = 16 * 1024 * 1024;
const REQUEST_CAP = 32 * 1024 * 1024;

/**
 * An exchange as the Fetch standard's `fetch`. A string or bytes as the body is the fast path; any other input goes through `Request`.
 * Redirects are followed by the exchange, so `redirect` is passed over. Rejects with a CountersignError, or the signal's reason.
 */
export function authorizedFetch(exchange: () => Exchange | Promise<Exchange>): typeof globalThis.fetch {
  return async (input, init) => {
    const signal = init?.signal ?? (input instanceof Request ? input.signal : undefined);
    signal?.throwIfAborted();
    const request = await toExchangeRequest(input, init);
    return toResponse(await (await exchange())(request, signal ?? undefined));
  };
}

async function toExchangeRequest(
  input: Parameters<typeof fetch>[0],
  init: RequestInit | undefined,
): Promise<ExchangeRequest> {
  const body = init?.body;
  if (
    (typeof input === 'string' || input instanceof URL) &&
    (body === undefined || body === null || typeof body === 'string' || body instanceof Uint8Array)
  ) {
    const headers = typeof body === 'string' ? withContentType(pairs(init?.headers)) : pairs(init?.headers);
    return { method: init?.method?.toUpperCase() ?? 'GET', url: new URL(input), headers, body: body ?? undefined };
  }
  const request = new Request(input, init);
  const bytes = request.body ? new Uint8Array(await request.arrayBuffer()) : undefined;
  if (bytes && bytes.length > REQUEST_CAP)
    throw new CountersignError('TOO_LARGE', `The request's body has more than ${REQUEST_CAP / 1024 / 1024} MB.`);
  return { method: request.method, url: new URL(request.url), headers: request.headers, body: bytes };
}

function pairs(headers: RequestInit['headers']): [string, string][] {
  if (!headers) return [];
  if (Symbol.iterator in headers) return [...(headers as Iterable<[string, string]>)];
  return Object.entries(headers as Record<string, string>);
}

/** As `fetch` does for a string. */
function withContentType(headers: [string, string][]): [string, string][] {
  if (!headers.some(([name]) => name.toLowerCase() === 'content-type'))
    headers.push(['content-type', 'text/plain;charset=UTF-8']);
  return headers;
}

/** A real `Response` with a streaming, capped body (MESSAGE_CAP a message). */
export function toResponse({ status, statusText, headers, url, body }: ExchangeResponse): Response {
  if (status < 200 || status > 599) {
    body.destroy();
    throw new CountersignError('SERVER_ERROR', `${url.host} answered with the status ${status}.`, { status });
  }
  const empty = status === 204 || status === 205 || status === 304;
  if (empty) body.resume();
  const response = new Response(
    empty ? null : toWebStream(body, messageMeter(headers.get('content-type'), MESSAGE_CAP)),
    { status, statusText, headers: [...headers] },
  );
  Object.defineProperty(response, 'url', { value: url.href });
  return response;
}

/** Readable.toWeb at a third of its cost: no queue of its own, so back-pressure reaches the socket. */
function toWebStream(body: Readable, measure: (chunk: Uint8Array) => void): ReadableStream<Uint8Array> {
  let wake: (() => void) | undefined;
  const ready = (): void => wake?.();
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        body.on('readable', ready).on('end', ready);
        body.on('error', (error) => {
          controller.error(error);
          ready();
        });
        body.on('close', () => {
          if (!body.readableEnded && !body.errored)
            controller.error(
              new CountersignError('UNREACHABLE', 'The connection closed before the answer was complete.'),
            );
          ready();
        });
      },
      async pull(controller) {
        for (;;) {
          const chunk = body.read() as Buffer | null;
          if (chunk !== null) {
            try {
              measure(chunk);
            } catch (error) {
              body.destroy();
              throw error;
            }
            controller.enqueue(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength));
            return;
          }
          if (body.readableEnded) return controller.close();
          if (body.errored || body.destroyed) return;
          await new Promise<void>((resolve) => (wake = resolve));
        }
      },
      cancel() {
        body.destroy();
      },
    },
    { highWaterMark: 0 },
  );
}
