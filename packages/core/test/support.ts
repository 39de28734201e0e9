import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach } from '@jest/globals';
import {
  createCountersign,
  defineAuthProvider,
  type AuthProvider,
  type AuthProviderDefinition,
  type AuthServices,
  type Countersign,
  type CountersignOptions,
  type Plugin,
} from '@countersign/core';
import * as z from 'zod/mini';

const closing: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

export interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** A server on loopback that remembers what it got. `respond` is called with the request's ordinal, from 1. */
export async function startServer(respond: (request: Received, response: ServerResponse, ordinal: number) => void) {
  const received: Received[] = [];
  const listener: RequestListener = (incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const request = {
        method: incoming.method ?? '',
        path: incoming.url ?? '',
        headers: incoming.headers,
        body: Buffer.concat(chunks).toString(),
      };
      received.push(request);
      respond(request, response, received.length);
    });
  };
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { origin, url: `${origin}/mcp`, received, server };
}

/** Answers with JSON. */
export function json(
  response: ServerResponse,
  status: number,
  value: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
}

/** A plugin whose provider is `make`'s. */
export function plugin(
  type: string,
  make: (services: AuthServices, options: Record<string, unknown>) => AuthProvider,
  rest: Partial<AuthProviderDefinition> = {},
): Plugin {
  return defineAuthProvider(`test-${type}`, {
    type,
    options: z.looseObject({}),
    create: (options, services) => make(services, options as Record<string, unknown>),
    ...rest,
  });
}

/** An instance that is closed with the test. */
export async function open(options: CountersignOptions): Promise<Countersign> {
  const app = await createCountersign({ env: {}, ...options });
  closing.push(() => app.close());
  return app;
}

export function onClose(close: () => Promise<unknown> | void): void {
  closing.push(close);
}
