import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createCountersign,
  nodeSender,
  tokens,
  type Clock,
  type CountersignOptions,
  type LoginEvent,
  type Plugin,
} from '@countersign/core';
import headers from '@countersign/auth-headers';
import streamableHttp from '@countersign/transport-streamable-http';
import { createAuthority, startConnectProxy, startGuard } from '@countersign/test-servers';
import { createGitHub } from '@countersign/test-servers/github';
import github from '../src/index.js';

type Verify = NonNullable<NonNullable<Parameters<typeof startGuard>[0]>['verify']>;

/** Three GitHubs behind one proxy and one TLS guard: the API at its paths, the MCP server at /mcp, each told apart by host. */
export async function startWorld() {
  const authority = await createAuthority();
  const com = await createGitHub();
  const enterprise = await createGitHub({ host: 'github.corp.example' });
  const octo = await createGitHub({ host: 'octo.ghe.com' });
  const of = (host = ''): typeof com =>
    host === enterprise.host ? enterprise : host.endsWith('.ghe.com') || host === octo.host ? octo : com;
  let verify: Verify | undefined;
  const guard = await startGuard({
    tls: { authority },
    verify: async (head, body) => {
      const here = of(head.headers.host);
      if (!head.path.startsWith('/mcp')) return here.api(head, body);
      const refusal = await (verify ?? here.mcp())(head, body);
      return refusal ?? { status: 200, headers: { 'content-type': 'application/json' }, body: '{"ok":true}' };
    },
  });
  const proxy = await startConnectProxy({ to: guard });
  const folder = await mkdtemp(join(tmpdir(), 'countersign-github-'));
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
    com,
    enterprise,
    octo,
    guard,
    proxy,
    folder,
    trusting,
    guardWith: (next: Verify) => void (verify = next),
    /** What reached the MCP servers. */
    calls: () => guard.requests.filter(({ path }) => path.startsWith('/mcp')),
    /** What was asked of the APIs and sign-in pages. */
    asked: () =>
      guard.requests
        .filter(({ path }) => !path.startsWith('/mcp'))
        .map(({ method, path, headers: { host } }) => `${method} ${host}${path}`),
    async file(content: string, name = 'key.pem', mode = 0o600): Promise<string> {
      const path = join(folder, name);
      await writeFile(path, content, { mode });
      return path;
    },
    open: (servers: Record<string, unknown>, env: Record<string, string> = {}, options: CountersignOptions = {}) =>
      createCountersign({
        plugins: [github, headers, streamableHttp, trusting],
        servers,
        env: { HTTPS_PROXY: proxy.url.href, HOME: folder, PATH: folder, ...env },
        ...options,
      }),
    reset() {
      for (const each of [com, enterprise, octo]) each.reset();
      verify = undefined;
      guard.requests.length = 0;
      proxy.hosts.length = 0;
    },
    async close() {
      for (const each of [proxy, guard, authority]) await each.close();
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

/** The system's clock, ahead by `by` milliseconds. Its sleeps are recorded, and end at once where `patient` says so, else when `fire` is called. */
export function movedClock(by = 0, patient: (ms: number) => boolean = () => false) {
  let ahead = by;
  const sleeping = new Set<() => void>();
  const slept: number[] = [];
  const awaited = new Map<number, () => void>();
  const clock: Clock = {
    now: () => Date.now() + ahead,
    sleep: (ms, signal) => {
      slept.push(ms);
      awaited.get(ms)?.();
      if (patient(ms)) return Promise.resolve();
      return new Promise((resolve, reject) => {
        sleeping.add(resolve);
        signal?.addEventListener('abort', () => {
          sleeping.delete(resolve);
          reject(signal.reason as Error);
        });
      });
    },
  };
  return {
    clock,
    slept,
    sleepOf: (ms: number) => new Promise<void>((resolve) => awaited.set(ms, resolve)),
    advance: (ms: number) => void (ahead += ms),
    fire: () => sleeping.forEach((wake) => wake()),
  };
}

/** A person who does, with the code that is shown, what `act` says. */
export function person(act: (userCode: string) => void = () => undefined) {
  const told: LoginEvent[] = [];
  return {
    told,
    interaction: {
      show: async () => 'shown' as const,
      ask: async () => '',
      tell(event: LoginEvent) {
        told.push(event);
        if (event.type === 'device') act(event.userCode);
      },
    },
  };
}
