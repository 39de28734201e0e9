import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createCountersign,
  nodeSender,
  tokens,
  type Clock,
  type CountersignOptions,
  type Plugin,
} from '@countersign/core';
import headers from '@countersign/auth-headers';
import streamableHttp from '@countersign/transport-streamable-http';
import { createAuthority, startConnectProxy, startGuard } from '@countersign/test-servers';
import { createGoogle } from '@countersign/test-servers/google';
import gcp from '../src/index.js';

type Verify = NonNullable<NonNullable<Parameters<typeof startGuard>[0]>['verify']>;

/** Google behind a proxy that leads its hosts to a guard which verifies as Google does, and every other host to the MCP server's guard. */
export async function startWorld() {
  const closing: { close(): Promise<void> }[] = [];
  const remember = <T extends { close(): Promise<void> }>(one: T): T => {
    closing.unshift(one);
    return one;
  };
  const authority = remember(await createAuthority());
  const google = await createGoogle();
  const endpoints = remember(await startGuard({ verify: google.endpoints, tls: { authority } }));
  const metadata = remember(await startGuard({ verify: google.endpoints }));
  let verify: Verify = google.accessToken();
  const ok: Verify = () => ({ status: 200, headers: { 'content-type': 'application/json' }, body: '{"ok":true}' });
  const mcp = remember(
    await startGuard({
      tls: { authority },
      verify: async (head, body) => (await verify(head, body)) ?? ok(head, body),
    }),
  );
  const token = /^(oauth2|sts|iamcredentials)\.googleapis\.com$/;
  const proxy = remember(await startConnectProxy({ to: (host) => (token.test(host) ? endpoints : mcp) }));
  const folder = await mkdtemp(join(tmpdir(), 'countersign-gcp-'));

  const trusting: Plugin = {
    name: 'trusting',
    apiVersion: 1,
    register: (container) =>
      void container.register(tokens.senderFactory, {
        useValue: (options: Parameters<typeof nodeSender>[0]) =>
          nodeSender({ ...options, tls: { ...options.tls, ca: authority.ca } }),
      }),
  };

  return {
    google,
    endpoints,
    metadata,
    mcp,
    proxy,
    folder,
    guardWith: (next: Verify) => void (verify = next),
    /** Writes a credential file, and answers its path. */
    async file(content: unknown, name = 'credential.json'): Promise<string> {
      const path = join(folder, name);
      await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
      return path;
    },
    /** An instance whose environment is nothing but the proxy and `env`. */
    open: (servers: Record<string, unknown>, env: Record<string, string> = {}, options: CountersignOptions = {}) =>
      createCountersign({
        plugins: [gcp, headers, streamableHttp, trusting],
        servers,
        env: { HTTPS_PROXY: proxy.url.href, HOME: folder, NO_GCE_CHECK: 'true', ...env },
        ...options,
      }),
    /** As it was, for the next test. */
    reset() {
      google.reset();
      verify = google.accessToken();
      for (const { requests } of [endpoints, metadata, mcp]) requests.length = 0;
      proxy.hosts.length = 0;
    },
    async close() {
      for (const one of closing) await one.close();
      await rm(folder, { recursive: true });
    },
  };
}

export type World = Awaited<ReturnType<typeof startWorld>>;

export const post = {
  method: 'POST',
  body: '{"jsonrpc":"2.0","id":1,"method":"ping"}',
  headers: { 'content-type': 'application/json' },
};

/** The system's clock, ahead by `by` milliseconds; its sleeps end when `fire` is called. */
export function movedClock(by = 0) {
  let ahead = by;
  const sleeping = new Set<() => void>();
  const clock: Clock = {
    now: () => Date.now() + ahead,
    sleep: (_, signal) =>
      new Promise((resolve, reject) => {
        sleeping.add(resolve);
        signal?.addEventListener('abort', () => {
          sleeping.delete(resolve);
          reject(signal.reason as Error);
        });
      }),
  };
  return {
    clock,
    advance: (ms: number) => void (ahead += ms),
    fire: () => sleeping.forEach((wake) => wake()),
    get sleeping() {
      return sleeping.size;
    },
  };
}
