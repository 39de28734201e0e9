import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { Attempt, AuthProvider, OutgoingRequest } from './auth-provider.js';
import { peekBody } from './body-limits.js';
import { parseChallenges } from './challenges.js';
import type { Clock } from './clock.js';
import { CountersignError, findCountersignError } from './errors.js';
import { HeaderFields } from './header-fields.js';
import type { Log } from './log.js';
import { isLoopback } from './origin.js';
import { isPublicName, isSensitiveName } from './redactor.js';
import { retryAfter } from './retry-after.js';
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
  readonly usage: { requests: number; refused: number; lastUsed?: Date };
  /** Milliseconds for a request: to the answer's head, and for what isn't a stream to its end. */
  readonly timeout: number;
  /** Milliseconds without a byte that end a stream. */
  readonly idle?: number | undefined;
  readonly allowInsecureHttp: boolean;
  /** True when what the chain puts on a request is worth protecting. */
  readonly secret: boolean;
  conceal(secret: string): void;
}

const MAX_REDIRECTS = 3;
const MAX_CHALLENGES = 2;
const MAX_ATTEMPTS = 12;
const MAX_WAITS = 3;
/** Longer delays than this are the caller's to wait. */
const MAX_DELAY_MS = 30_000;
const RENEWAL_MS = 55_000;
const PEEK_BYTES = 65_536;
const PEEK_MS = 5_000;

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
      throw error;
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
      await authorize(outgoing, signal);
      let response = await send(outgoing, request, signal);
      const head = { status: response.status, headers: response.headers, url };
      for (const { provider } of chain) provider.observe?.(head);

      const location = response.headers.get('location');
      if (location !== undefined && isRedirect(response.status)) {
        discard(response.body);
        url = followed(url, location, request.method, response.status, ++redirects);
        continue;
      }
      if (response.status === 401 || response.status === 403) {
        usage.refused++;
        if (challenges++ < MAX_CHALLENGES && number < MAX_ATTEMPTS) {
          const refused = await renew(outgoing, response, epochs, signal);
          if (refused === 'renewed') continue;
          response = refused;
        }
      }
      if (response.status === 429 || response.status === 503) {
        const delay = retryAfter(response.headers.get('retry-after'), clock.now());
        if (delay !== undefined) {
          discard(response.body);
          await wait(delay, response.status, request, ++waits, signal);
          continue;
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
      try {
        const pending = member.provider.authorize(outgoing, signal);
        if (pending) await settled(pending, signal);
      } catch (error) {
        throw named(error, server.name);
      }
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
      throw named(error, server.name);
    }
  }

  function followed(from: URL, location: string, method: string, status: number, count: number): URL {
    const refuse = (why: string): never => {
      throw new CountersignError(
        'REDIRECT_REFUSED',
        `Server ${server.name} answered ${status} ${why}; nothing was sent there.`,
        { server: server.name, status },
      );
    };
    if (!URL.canParse(location, from.href)) return refuse('with a location that is not a URL');
    const to = new URL(location, from);
    to.hash = '';
    if (to.origin !== from.origin || to.username || to.password)
      return refuse(
        `to another origin (${to.protocol === 'http:' || to.protocol === 'https:' ? to.origin : to.protocol})`,
      );
    if (status < 307 && method !== 'GET' && method !== 'HEAD')
      return refuse(`to a ${method}, which would become a GET`);
    if (count > MAX_REDIRECTS) return refuse(`more than ${MAX_REDIRECTS} times in a row`);
    return to;
  }

  /** Asks every provider that can renew; a renewal is shared by all that wait for it, and none of them can abort it. */
  async function renew(
    outgoing: OutgoingRequest,
    response: SenderResponse,
    epochs: readonly number[],
    signal: AbortSignal,
  ): Promise<'renewed' | SenderResponse> {
    const field = response.headers.get('www-authenticate');
    const key = `${response.status} ${field ?? ''}`;
    let peeked: ReturnType<typeof peekBody> | undefined;
    let again = false;
    try {
      for (const [index, member] of chain.entries()) {
        if (!member.provider.challenge) continue;
        if (member.epoch !== epochs[index]) {
          again = true;
          continue;
        }
        let renewal = member.renewals.get(key);
        if (!renewal) {
          const lifetime = AbortSignal.timeout(RENEWAL_MS);
          const asked = member.provider.challenge({
            request: outgoing,
            response: { status: response.status, headers: response.headers, url: outgoing.url },
            challenges: parseChallenges(field),
            body: async (limit = PEEK_BYTES) =>
              (await (peeked ??= peekBody(response.body, PEEK_BYTES, PEEK_MS))).start
                .subarray(0, limit)
                .toString('utf8'),
            signal: lifetime,
          });
          renewal = settled(asked, lifetime)
            .then((renewed) => {
              if (renewed) member.epoch++;
              return renewed;
            })
            .finally(() => member.renewals.delete(key));
          renewal.catch(() => undefined);
          member.renewals.set(key, renewal);
        }
        if (await settled(renewal, signal)) again = true;
      }
    } catch (error) {
      discard(response.body);
      throw named(error, server.name);
    }
    const body = peeked ? (await peeked).body : response.body;
    if (!again) return { ...response, body };
    discard(body);
    return 'renewed';
  }

  async function wait(
    delay: number,
    status: number,
    request: ExchangeRequest,
    count: number,
    signal: AbortSignal,
  ): Promise<void> {
    const seconds = Math.ceil(delay / 1000);
    const safe = status === 503 || isSafe(request);
    if (!safe || delay > Math.min(MAX_DELAY_MS, settings.timeout) || count > MAX_WAITS) {
      throw new CountersignError(
        'RATE_LIMITED',
        `Server ${server.name} answered ${status} and asks to wait ${seconds} s.`,
        { server: server.name, status, retryAfter: seconds },
      );
    }
    log.debug(`${server.name}: ${status}, waiting ${seconds} s`);
    await clock.sleep(delay, signal).catch((error: unknown) => {
      throw (signal.reason as Error | undefined) ?? error;
    });
  }
}

/** Credentials go by their header's name, and by who set them. */
export function holdsSecret(name: string, owner: ChainMember | undefined): boolean {
  return (
    isSensitiveName(name) || ((owner?.stage === 'credential' || owner?.stage === 'signature') && !isPublicName(name))
  );
}

/** One clock reading, one nonce and one memory for everything within an attempt. */
class RequestAttempt implements Attempt {
  readonly time: Date;
  #nonce: string | undefined;
  #memo: Map<object, unknown> | undefined;
  constructor(
    readonly number: number,
    clock: Clock,
  ) {
    this.time = new Date(clock.now());
  }
  get nonce(): string {
    return (this.#nonce ??= randomUUID());
  }
  memo<T>(key: object, make: () => T): T {
    const memo = (this.#memo ??= new Map());
    if (!memo.has(key)) memo.set(key, make());
    return memo.get(key) as T;
  }
}

/** Header fields that remember which member set what, so that two don't overwrite each other unseen. */
export class ClaimedHeaders extends HeaderFields {
  readonly claims = new Map<string, ChainMember>();
  claimant: ChainMember | undefined;

  override set(name: string, value: string): void {
    super.set(name, value);
    if (!this.claimant) return;
    const key = name.toLowerCase();
    const before = this.claims.get(key);
    if (
      before &&
      before !== this.claimant &&
      this.claimant.stage !== 'signature' &&
      this.claimant.stage !== 'signed-headers'
    ) {
      throw new CountersignError(
        'HEADER_CONFLICT',
        `Both ${before.type} and ${this.claimant.type} set the header ${key}.`,
      );
    }
    this.claims.set(key, this.claimant);
  }
}

/** Aborts a request at its deadline or with its caller; afterwards watches over the body until that has ended. */
function startDeadline({ server, timeout, idle }: ExchangeSettings, parent: AbortSignal | undefined) {
  const controller = new AbortController();
  const late = (): void =>
    controller.abort(
      new CountersignError('TIMEOUT', `Server ${server.name} did not answer within ${timeout / 1000} s.`, {
        server: server.name,
      }),
    );
  const timer = setTimeout(late, timeout);
  const forward = (): void => controller.abort(parent?.reason);
  if (parent?.aborted) forward();
  else parent?.addEventListener('abort', forward, { once: true });
  const clear = (): void => {
    clearTimeout(timer);
    parent?.removeEventListener('abort', forward);
  };
  return {
    signal: controller.signal,
    clear,
    hand(response: ExchangeResponse): ExchangeResponse {
      const { body } = response;
      const stream = response.headers.get('content-type')?.toLowerCase().startsWith('text/event-stream') ?? false;
      if (stream) clearTimeout(timer);
      else timer.unref(); // an answer that nobody reads keeps no process alive
      if (stream && idle !== undefined) watchIdle(body, idle, server.name);
      if (body.closed || body.readableEnded) clear();
      else body.once('end', clear).once('close', clear);
      return response;
    },
  };
}

function watchIdle(body: Readable, idle: number, name: string): void {
  const timer = setTimeout(
    () =>
      body.destroy(
        new CountersignError('TIMEOUT', `Server ${name} sent nothing for ${idle / 1000} s.`, { server: name }),
      ),
    idle,
  );
  const push = body.push.bind(body);
  body.push = (chunk, encoding) => {
    timer.refresh(); // what arrives counts, not what the reader takes
    return push(chunk, encoding);
  };
  body.once('close', () => clearTimeout(timer)).once('end', () => clearTimeout(timer));
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

function isRedirect(status: number): boolean {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308;
}

/** Lets go of a body that nobody reads: to its end if that is near, which keeps the connection. */
export function discard(body: Readable): void {
  body.on('error', () => undefined); // nobody reads it any more
  body.resume();
  setTimeout(() => body.destroy(), 1_000).unref(); // an endless one gives its connection back by force
}

/** The promise, or the signal's reason if that comes first; the promise goes on. */
function settled<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) {
    promise.catch(() => undefined);
    return Promise.reject(signal.reason as Error);
  }
  return new Promise<T>((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

function named(error: unknown, server: string): unknown {
  const known = findCountersignError(error);
  if (known) known.server ??= server;
  return error;
}
