import { createCountersign, type Clock, type CountersignOptions, type Log, type Plugin } from '@countersign/core';
import headers from '@countersign/auth-headers';
import {
  awsSigV4,
  createAuthority,
  startConnectProxy,
  startGuard,
  type Authority,
  type Guard,
} from '@countersign/test-servers';
import sigV4 from '../src/index.js';

export interface AwsKey {
  secretAccessKey: string;
  sessionToken?: string;
  expiresAt?: Date;
}

export const KEY = 'AKIDEXAMPLE0000001';
export const SECRET = 'canary-secret-key/0001+wJalrXUtnFEMI';
export const TOKEN = 'canary-session-token/0001==';
export const environment = { AWS_ACCESS_KEY_ID: KEY, AWS_SECRET_ACCESS_KEY: SECRET };

const URL_TEXT = 'https://service.us-east-1.amazonaws.com/mcp';

/** A server in both forms: the header template that people have, and the auth method. */
export const forms = {
  template: {
    url: URL_TEXT,
    headers: {
      Authorization: 'AWS4-HMAC-SHA256 ${AWS_SIGNATURE}',
      'X-Amz-Date': '${TIMESTAMP}',
      'X-Amz-Security-Token': '${AWS_SESSION_TOKEN}',
    },
  },
  method: { url: URL_TEXT, auth: { method: 'aws-sigv4' } },
} as const;

/** A guard in the place of AWS, behind TLS and a CONNECT proxy, that verifies every signature and takes each once. */
export interface Aws {
  readonly guard: Guard;
  readonly keys: Map<string, AwsKey>;
  readonly said: string[];
  /** PEM of the authority that its certificates come from. */
  readonly ca: string;
  readonly proxy: string;
  /** Milliseconds that the guard's clock is ahead. */
  skew: number;
  app(
    server: unknown,
    options?: Partial<CountersignOptions> & { plugins?: Plugin[] },
  ): ReturnType<typeof createCountersign>;
  close(): Promise<void>;
}

let authority: Promise<Authority> | undefined;
export const closeAuthority = async (): Promise<void> => (await authority)?.close();

interface AwsOptions {
  service?: string;
  region?: string;
  unsignedPayload?: boolean;
  dialect?: 'json' | 'xml';
}

export async function startAws({
  service = 'service',
  region = 'us-east-1',
  unsignedPayload = false,
  dialect = 'json',
}: AwsOptions = {}): Promise<Aws> {
  const tls = { authority: await (authority ??= createAuthority()) };
  const keys = new Map<string, AwsKey>([[KEY, { secretAccessKey: SECRET }]]);
  const verify = awsSigV4({ keys, region, service, once: true, unsignedPayload, dialect });
  const setting = { skew: 0 };
  const guard = await startGuard({
    tls,
    clock: () => Date.now() + setting.skew,
    verify: async (head, body) => (await verify(head, body)) ?? { status: 200, body: 'accepted' },
  });
  const proxy = await startConnectProxy({ to: guard });
  const said: string[] = [];
  const log: Log = { debug: (line) => said.push(line), warn: (line) => said.push(line) };
  return {
    guard,
    keys,
    said,
    ca: tls.authority.ca,
    proxy: proxy.url.href,
    get skew() {
      return setting.skew;
    },
    set skew(milliseconds) {
      setting.skew = milliseconds;
    },
    app: (server, { plugins = [], env = environment, ...options } = {}) =>
      createCountersign({
        plugins: [sigV4, headers, ...plugins],
        servers: { orders: { transport_type: 'streamable_http', ca: tls.authority.caFile, ...(server as object) } },
        env: { HTTPS_PROXY: proxy.url.href, AWS_EC2_METADATA_DISABLED: 'true', ...env },
        log,
        ...options,
      }),
    async close() {
      await proxy.close();
      await guard.close();
    },
  };
}

/** Sends, and reads the answer to its end, so that its connection serves the next. */
export async function send(
  app: Awaited<ReturnType<typeof createCountersign>>,
  url: string,
  init: RequestInit,
): Promise<Response> {
  const response = await app.fetch('orders')(url, init);
  const body = await response.text();
  return new Response(body, response);
}

/** A clock that stands until it is moved. */
export function movableClock(start = Date.now()): Clock & { time: number } {
  return {
    time: start,
    now() {
      return this.time;
    },
    sleep: (_, signal) =>
      new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason as Error))),
  };
}
