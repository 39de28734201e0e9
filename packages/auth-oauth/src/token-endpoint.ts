import { CountersignError, excerpt, visibleText, type AuthServices, type GuardedFetch } from '@countersign/core';
import type { AuthorizationServer, ClientAuth, DPoPHandle } from 'oauth4webapi';
import { fateOf, request, REQUEST_DEADLINE, type Answer } from './http.js';

/** A token answer (RFC 6749 section 5.1), checked. */
export interface TokenAnswer {
  readonly accessToken: string;
  /** `N_A` for an ID-JAG (RFC 8693). */
  readonly tokenType: string;
  /** Seconds; `undefined` when it was absent, not positive or not a number. */
  readonly expiresIn: number | undefined;
  readonly refreshToken: string | undefined;
  readonly scope: string | undefined;
  readonly idToken: string | undefined;
}

/** Why a token endpoint gave nothing. */
export class TokenRefusal extends Error {
  override readonly name = 'TokenRefusal';
  constructor(
    /** `refused`: an answer below 500. `server`: 5xx or 429. The rest as in `fateOf`. */
    readonly fate: 'refused' | 'server' | 'unsent' | 'timeout' | 'cut',
    message: string,
    readonly details: { error?: string; status?: number; retryAfter?: number; cause?: unknown } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
  }

  /** The OAuth error code: "invalid_grant". */
  get error(): string | undefined {
    return this.details.error;
  }
}

export interface TokenRequest {
  readonly as: AuthorizationServer;
  readonly clientId: string;
  readonly authentication: ClientAuth;
  readonly grant: string;
  readonly parameters: Record<string, string | undefined>;
  readonly fetch: GuardedFetch;
  readonly conceal: AuthServices['conceal'];
  /** What must not come back in an error, besides the parameters: the client's secret. */
  readonly secrets?: readonly (string | undefined)[];
  readonly dpop?: DPoPHandle | undefined;
  /** The client authenticates by certificate: the server's aliases for mutual TLS are used. */
  readonly mtls?: boolean;
  /** Milliseconds. */
  readonly deadline?: number;
  readonly signal?: AbortSignal | undefined;
}

/** Asks the token endpoint once; once more when it wants a DPoP nonce (RFC 9449 section 8). Throws TokenRefusal. */
export async function requestToken(wanted: TokenRequest): Promise<TokenAnswer> {
  let answer = await post(wanted);
  if (wanted.dpop && answer.status >= 400 && answer.json?.['error'] === 'use_dpop_nonce') answer = await post(wanted);
  return readAnswer(answer, wanted);
}

async function post(wanted: TokenRequest): Promise<Answer> {
  const oauth = await import('oauth4webapi');
  let answer: Answer | undefined;
  const client = { client_id: wanted.clientId, ...(wanted.mtls ? { use_mtls_endpoint_aliases: true } : {}) };
  const parameters = Object.entries(wanted.parameters).filter((one): one is [string, string] => one[1] !== undefined);
  await oauth.genericTokenEndpointRequest(wanted.as, client, wanted.authentication, wanted.grant, parameters, {
    [oauth.allowInsecureRequests]: true, // https is checked with the endpoint (trust.ts): loopback may do without
    ...(wanted.dpop ? { DPoP: wanted.dpop } : {}),
    [oauth.customFetch]: async (url, init) => {
      try {
        answer = await send(url, init, wanted);
      } catch (error) {
        wanted.signal?.throwIfAborted();
        const fate = fateOf(error);
        throw new TokenRefusal(fate, `The token endpoint at ${new URL(url).host} ${FATES[fate]}.`, { cause: error });
      }
      return new Response(null, { status: answer.status < 200 ? 200 : answer.status, headers: answer.headers });
    },
  });
  return answer as unknown as Answer;
}

const FATES = {
  unsent: 'could not be reached',
  timeout: 'did not answer in time',
  cut: 'broke the connection off before its answer was complete',
} as const;

function send(url: string, init: RequestInit & { body: URLSearchParams }, wanted: TokenRequest): Promise<Answer> {
  const { deadline = REQUEST_DEADLINE, signal } = wanted;
  return request(wanted.fetch, url, { ...init, body: init.body.toString() }, { deadline, signal });
}

function readAnswer(answer: Answer, wanted: TokenRequest): TokenAnswer {
  const { status, json = {} } = answer;
  const host = new URL(wanted.as.token_endpoint ?? wanted.as.issuer).host;
  const { access_token: accessToken, token_type: tokenType } = json;
  for (const name of ['access_token', 'refresh_token', 'id_token'])
    if (typeof json[name] === 'string') wanted.conceal(json[name]);
  // Some answer 200 with an error in the body (GitHub, Slack).
  if (status >= 200 && status < 300 && typeof accessToken === 'string' && accessToken && json['error'] === undefined) {
    if (!/^[\x21-\x7e]+$/.test(accessToken))
      throw new TokenRefusal('refused', `The access token of ${host} holds characters that a header can't carry.`);
    return {
      accessToken,
      tokenType: typeof tokenType === 'string' ? tokenType : 'Bearer',
      expiresIn: seconds(json['expires_in']),
      refreshToken: text(json['refresh_token']),
      scope: text(json['scope']),
      idToken: text(json['id_token']),
    };
  }
  throw refusal(answer, host, wanted);
}

const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);

/** A lifetime in seconds: a positive number or its digits. Beyond ten years it says nothing. */
function seconds(value: unknown): number | undefined {
  const number = typeof value === 'string' && /^\d{1,12}$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && number > 0 && number <= 315_360_000 ? number : undefined;
}

function refusal({ status, headers, json }: Answer, host: string, wanted: TokenRequest): TokenRefusal {
  const error = errorCode(json?.['error']);
  const details = { status, ...(error === undefined ? {} : { error }) };
  if (status >= 500 || status === 429) {
    const retryAfter = Number(headers.get('retry-after'));
    return new TokenRefusal('server', `The token endpoint at ${host} answered ${status}.`, {
      ...details,
      ...(retryAfter > 0 && retryAfter < 86_400 ? { retryAfter } : {}),
    });
  }
  if (status >= 300 && status < 400)
    return new TokenRefusal('refused', `The token endpoint at ${host} redirects, which is not followed.`, details);
  const reason = description(json?.['error_description'], wanted);
  const said = [error, reason && `(${reason})`].filter(Boolean).join(' ');
  const fact = said ? `refused: ${said}` : status < 300 ? 'answered without a token' : `answered ${status}`;
  return new TokenRefusal('refused', `The token endpoint at ${host} ${fact}.`, details);
}

/** RFC 6749 section 5.2 names the characters of a code; ours are those that all codes have. */
export function errorCode(value: unknown): string | undefined {
  return typeof value === 'string' && /^[A-Za-z0-9_.:/-]{1,80}$/.test(value) ? value : undefined;
}

/** What the server says of its refusal; nothing if it repeats anything that was sent. */
function description(value: unknown, wanted: TokenRequest): string | undefined {
  if (typeof value !== 'string' || value === '') return undefined;
  const sent = Object.entries(wanted.parameters).filter(([name]) => SENT_SECRETS.has(name));
  const secrets = [...sent.map((one) => one[1]), ...(wanted.secrets ?? [])];
  if (secrets.some((secret) => secret !== undefined && repeats(value, secret)) || /\b[\w-]{40,}\b/.test(value))
    return undefined;
  return visibleText(excerpt(value, 200)).replace(/\s+/g, ' ').trim();
}

const SENT_SECRETS = new Set(['code', 'code_verifier', 'refresh_token', 'assertion', 'subject_token', 'device_code']);

function repeats(text: string, sent: string): boolean {
  const form = new URLSearchParams({ sent }).toString().slice('sent='.length);
  const encoded = [encodeURIComponent(sent), form].map((one) => one.toLowerCase()); // hexadecimal digits are of either case
  if (encoded.some((one) => text.toLowerCase().includes(one))) return true;
  return text.includes(sent) || text.includes(Buffer.from(sent).toString('base64'));
}

/** The refusal as people meet it. A 401 or 403 that stays is UNAUTHORIZED's exit code, by TOKEN_REQUEST_FAILED. */
export function tokenError(refusal: TokenRefusal, remedy?: string): CountersignError {
  const options = {
    ...(refusal.details.cause === undefined ? {} : { cause: refusal.details.cause }),
    ...(remedy === undefined ? {} : { remedy }),
    ...(refusal.details.status === undefined ? {} : { status: refusal.details.status }),
    ...(refusal.details.retryAfter === undefined ? {} : { retryAfter: refusal.details.retryAfter }),
  };
  if (refusal.fate === 'unsent' || refusal.fate === 'cut')
    return new CountersignError('UNREACHABLE', refusal.message, options);
  if (refusal.fate === 'timeout') return new CountersignError('TIMEOUT', refusal.message, options);
  return new CountersignError('TOKEN_REQUEST_FAILED', refusal.message, options);
}
