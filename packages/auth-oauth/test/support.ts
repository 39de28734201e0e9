import { jest } from '@jest/globals';
import {
  createCountersign,
  memoryStore,
  type Countersign,
  type Interaction,
  type LoginEvent,
  type SecretStore,
} from '@countersign/core';
import oauth from '@countersign/auth-oauth';

jest.setTimeout(60_000); // servers start as processes, on machines that do other things too

const INITIALIZE = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
});

/** Sends `initialize`, or another message, by the server's authorized fetch, and answers the status. */
export async function call(app: Countersign, url: string, body = INITIALIZE, signal?: AbortSignal): Promise<number> {
  const response = await app.fetch('server')(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body,
    ...(signal ? { signal } : {}),
  });
  await response.text();
  return response.status;
}

export interface Person extends Interaction {
  readonly events: LoginEvent[];
  readonly urls: URL[];
  /** When everything that was done with the URLs is done. */
  settled(): Promise<unknown>;
}

/** A person who does `act` with every URL that is shown, and types `lines` when asked. */
export function person(act: (url: URL) => unknown = () => undefined, lines: string[] = []): Person {
  const events: LoginEvent[] = [];
  const urls: URL[] = [];
  const acts: unknown[] = [];
  return {
    settled: () => Promise.all(acts),
    events,
    urls,
    async show(url) {
      urls.push(url);
      acts.push(act(url));
      return 'opened';
    },
    async ask(_question, signal) {
      const line = lines.shift();
      if (line !== undefined) return line;
      return new Promise<string>((_, reject) =>
        signal?.addEventListener('abort', () => reject(signal.reason as Error)),
      );
    },
    tell: (event) => events.push(event),
  };
}

/** Countersign with one server behind OAuth. Everything it logs is kept. */
export async function client(
  url: string,
  options: {
    auth?: Record<string, unknown>;
    interaction?: Interaction | undefined;
    store?: SecretStore;
    profile?: string;
    server?: Record<string, unknown>;
  } = {},
): Promise<{ app: Countersign; log: string[] }> {
  const log: string[] = [];
  const app = await createCountersign({
    plugins: [oauth],
    servers: { server: { url, auth: { method: 'oauth', callbackPort: 0, ...options.auth }, ...options.server } },
    store: options.store ?? memoryStore(),
    log: { debug: (line) => log.push(line), warn: (line) => log.push(line) },
    env: {},
    ...(options.interaction ? { interaction: options.interaction } : {}),
    ...(options.profile === undefined ? {} : { profile: options.profile }),
  });
  return { app, log };
}

/** The one stored record whose key says that it is a credential. */
export async function storedCredential(store: SecretStore): Promise<Record<string, unknown>> {
  for await (const key of store.keys(''))
    if (key.includes('.credential.')) return JSON.parse((await store.get(key)) ?? '{}') as Record<string, unknown>;
  return {};
}
