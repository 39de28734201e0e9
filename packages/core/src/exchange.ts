import type { Readable } from 'node:stream';
import { abortable } from './abortable.js';
import { ClaimedHeaders, holdsSecret, RequestAttempt } from './attempt.js';
import type { AuthProvider, OutgoingRequest } from './auth-provider.js';
import type { Clock } from './clock.js';
import { startDeadline } from './deadline.js';
import { CountersignError, findCountersignError } from './errors.js';
import type { HeaderFields } from './header-fields.js';
import type { Log } from './log.js';
import { isLoopback } from './origin.js';
import { followRedirect, isRedirect } from './redirect.js';
import { discard, renew } from './renewal.js';
import { limitDelay } from './retry-after.js';
import type { Sender, SenderResponse } from './sender.js';

export interface ExchangeRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: Iterable<readonly [string, string]>;
  readonly body?: string | Uint8Array | undefined;
  /** The caller keeps its own deadlines: only its signal ends the request. For who lets a server wait while nobody takes the answer. */
  readonly unbounded?: boolean | undefined;
}

export interface ExchangeResponse {
  readonly status: number;
  readonly statusText: string;
  readonly headers: HeaderFields;
  /** Where the last hop went. */
  readonly url: URL;
  /** Not buffered. Read it to its end or destroy it. Fails with TIMEOUT past the deadline, or when a stream is idle for too long. */
  readonly body: Readable;
}

/** Owns one request's life: credentials, challenges, redirects, Retry-After. Rejects with a CountersignError, or with the signal's reason. */
export type Exchange = (request: ExchangeRequest, signal?: AbortSignal) => Promise<ExchangeResponse>;

/** A provider in a server's chain, with what the exchange keeps about it. */
export interface ChainMember {
  readonly type: string;
  readonly provider: AuthProvider;
  /** Where it runs: plain headers, credentials, the signature, headers that hold the signature. */
  readonly stage: 'headers' | 'credential' | 'signature' | 'signed-headers';
  /** False for a provider that only a plain variable reached. */
  readonly authorizes: boolean;
  /** Counts renewals: a request that began before the last one is sent again without asking. */
  epoch: number;
  /** Renewals under way, by status and challenge. */
  readonly renewals: Map<string, Promise<boolean>>;
}

export interface ExchangeSettings {
  readonly server: { readonly name: string; readonly url: URL };
  readonly chain: readonly ChainMember[];
  readonly sender: Sender;
  readonly clock: Clock;
  readonly log: Log;
  /** What status tells; `failure` is why the last request could not be authorized. */
  readonly usage: { requests: number; refused: number; lastUsed?: Date; failure?: string | undefined };
  /** Milliseconds for a request: to the answer's head, and for what isn't a stream to its end. */
  readonly timeout: number;
  /** Milliseconds without a byte that end a stream. */
  readonly idle?: number | undefined;
  readonly allowInsecureHttp: boolean;
  /** True when what the chain puts on a request is worth protecting. */
  readonly secret: boolean;
  conceal(secret: string): void;
}

const MAX_CHALLENGES = 2;
const MAX_WAITS = 3;
/** Longer delays than this are the caller's to wait. */
const MAX_DELAY_MS = 30_000;

/** Makes the exchange of one server. */
export function createExchange(settings: ExchangeSettings): Exchange {
  const { server, chain, clock, log, usage } = settings;

  return async function exchange(request, signal) {
    if (request.unbounded) return run(request, signal ?? new AbortController().signal);
    const deadline = startDeadline(settings, signal);
    try {
      const response = await run(request, deadline.signal);
      return deadline.hand(response);
    } catch (error) {
      deadline.clear();
      throw named(error, server.name);
    }
  };

  async function run(request: ExchangeRequest, signal: AbortSignal): Promise<ExchangeResponse> {
    let url = new URL(request.url);
    url.hash = '';
    let redirects = 0;
    let challenges = 0;
    let waits = 0;
    for (let number = 1; ; number++) {
      admit(url);
      const epochs = chain.map((member) => member.epoch);
      const outgoing: OutgoingRequest = {
        method: request.method,
        url,
        headers: new ClaimedHeaders(request.headers),
        body: request.body,
        attempt: new RequestAttempt(number, clock),
      };
      await authorize(outgoing, signal).catch((error: unknown) => {
        usage.failure = error instanceof Error ? error.message : String(error);
        throw error;
      });
      usage.failure = undefined;
      let response = await send(outgoing, request, signal);
      const head = { status: response.status, headers: response.headers, url };
      for (const { provider } of chain) provider.observe?.(head);

      const location = response.headers.get('location');
      if (location !== undefined && isRedirect(response.status)) {
        discard(response.body);
        url = followRedirect(server.name, url, location, request.method, {
          status: response.status,
          count: ++redirects,
        });
        continue;
      }
      const delay = limitDelay(response.status, response.headers, clock.now());
      if (delay !== undefined) {
        discard(response.body);
        await wait(delay, response.status, request, ++waits, signal);
        continue;
      }
      if (response.status === 401 || response.status === 403) {
        usage.refused++;
        if (challenges++ < MAX_CHALLENGES) {
          const refused = await renew(chain, outgoing, response, epochs, signal);
          if (refused === 'renewed') continue;
          response = refused;
        }
      }
      return { ...response, url };
    }
  }

  /** R10 and R11: credentials go to the server's own origin, over https or to this machine. */
  function admit(url: URL): void {
    if (url.origin !== server.url.origin) {
      throw new CountersignError(
        'FOREIGN_ORIGIN',
        `A request to ${url.origin} is not one to server ${server.name} (${server.url.origin}); nothing was sent.`,
        { server: server.name },
      );
    }
    if (url.protocol === 'http:' && settings.secret && !settings.allowInsecureHttp && !isLoopback(url.hostname)) {
      throw new CountersignError(
        'CREDENTIAL_OVER_HTTP',
        `Server ${server.name} is at ${url.origin}: its credential would travel unencrypted; nothing was sent.`,
        { server: server.name },
      );
    }
  }

  async function authorize(outgoing: OutgoingRequest, signal: AbortSignal): Promise<void> {
    const headers = outgoing.headers as ClaimedHeaders;
    if (!headers.has('user-agent')) headers.set('user-agent', 'countersign'); // some gateways refuse a request without
    for (const member of chain) {
      if (!member.authorizes) continue;
      headers.claimant = member;
      const pending = member.provider.authorize(outgoing, signal);
      if (pending) await abortable(pending, signal);
    }
    headers.claimant = undefined;
    for (const [name, owner] of headers.claims) {
      const value = headers.get(name);
      if (value !== undefined && holdsSecret(name, owner)) settings.conceal(value);
    }
  }

  async function send(
    outgoing: OutgoingRequest,
    request: ExchangeRequest,
    signal: AbortSignal,
  ): Promise<SenderResponse> {
    usage.requests++;
    usage.lastUsed = new Date(clock.now());
    try {
      const response = await settings.sender.send(outgoing, signal);
      log.debug(
        `${server.name}: ${outgoing.method} ${outgoing.url.pathname} attempt ${outgoing.attempt.number} -> ${response.status}`,
      );
      return response;
    } catch (error) {
      // A kept connection that the server had closed meanwhile: nothing was answered, and the request may run twice without harm.
      const reused = (findCountersignError(error)?.cause as { reusedSocket?: boolean } | undefined)?.reusedSocket;
      if (reused && !signal.aborted && isSafe(request)) return settings.sender.send(outgoing, signal);
      throw error;
    }
  }

  async function wait(
    delay: number,
    status: number,
    request: ExchangeRequest,
    count: number,
    signal: AbortSignal,
  ): Promise<void> {
    const seconds = Math.ceil(delay / 1000);
    const until = delay < 1e12 ? `, until ${new Date(clock.now() + delay).toISOString().replace(/\.\d+Z$/, 'Z')}` : '';
    const safe = status === 503 || isSafe(request);
    if (!safe || delay > Math.min(MAX_DELAY_MS, settings.timeout) || count > MAX_WAITS) {
      throw new CountersignError(
        'RATE_LIMITED',
        `Server ${server.name} answered ${status} and asks to wait ${seconds} s${until}.`,
        { server: server.name, status, retryAfter: seconds },
      );
    }
    log.debug(`${server.name}: ${status}, waiting ${seconds} s`);
    await clock.sleep(delay, signal).catch((error: unknown) => {
      throw (signal.reason as Error | undefined) ?? error;
    });
  }
}

const SAFE_METHOD = /^(?:initialize|ping|server\/discover|prompts\/get|[\w/]+\/(?:list|read))$/;

/** May run twice without harm: a GET, or a JSON-RPC request that only reads. */
function isSafe({ method, body }: ExchangeRequest): boolean {
  if (method === 'GET' || method === 'HEAD') return true;
  if (method !== 'POST' || body === undefined || body.length > 65_536) return false;
  try {
    const message = JSON.parse(typeof body === 'string' ? body : Buffer.from(body).toString('utf8')) as {
      method?: unknown;
    };
    return typeof message.method === 'string' && SAFE_METHOD.test(message.method);
  } catch {
    return false; // not JSON: whatever it is, once is enough
  }
}

function named(error: unknown, server: string): unknown {
  const known = findCountersignError(error);
  if (known) known.server ??= server;
  return error;
}
