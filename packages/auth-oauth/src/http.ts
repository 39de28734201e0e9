import { CountersignError, findCountersignError, isCountersignError, type GuardedFetch } from '@countersign/core';

/** Bytes of a metadata or token answer (R17). */
export const ANSWER_CAP = 256 * 1024;

/** Milliseconds that one request to a metadata or token endpoint may take. */
export const REQUEST_DEADLINE = 10_000;

/** A whole answer: its status, headers and text. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: Record<string, unknown> | undefined;
}

/** Sends one request, follows no redirect, and reads the whole answer: at most 256 KB within `deadline` ms. Throws what the fetch throws, TIMEOUT or TOO_LARGE. */
export async function request(
  fetch: GuardedFetch,
  url: string,
  init: RequestInit,
  options: { deadline?: number; signal?: AbortSignal | undefined } = {},
): Promise<Answer> {
  const { deadline = REQUEST_DEADLINE, signal } = options;
  const { host } = new URL(url);
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(new DOMException('The deadline passed.', 'TimeoutError')), deadline);
  timer.unref();
  try {
    const both = signal ? AbortSignal.any([signal, late.signal]) : late.signal;
    // A connection of its own: on a kept one nobody knows whether the server had closed it before it heard us.
    const headers = { ...(init.headers as Record<string, string>), connection: 'close' };
    const response = await fetch(url, {
      ...init,
      headers,
      redirect: 'manual',
      signal: both,
      deadline: deadline + 5000,
    });
    const text = await read(response, host, both);
    return { status: response.status, headers: response.headers, text, json: parseObject(text) };
  } catch (error) {
    if (!late.signal.aborted || signal?.aborted) throw error;
    const seconds = Math.round(deadline / 1000);
    throw new CountersignError('TIMEOUT', `${host} did not answer within ${seconds} seconds.`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

async function read(response: Response, host: string, signal: AbortSignal): Promise<string> {
  if (!response.body) return '';
  const reader = response.body.getReader() as ReadableStreamDefaultReader<Uint8Array>;
  const stop = (): void => void reader.cancel().catch(() => undefined);
  signal.addEventListener('abort', stop, { once: true });
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      signal.throwIfAborted();
      if (done) break;
      size += value.byteLength;
      if (size > ANSWER_CAP) throw new CountersignError('TOO_LARGE', `The answer of ${host} is larger than 256 KB.`);
      chunks.push(value);
    }
  } catch (error) {
    stop();
    if (response.status >= 400) return ''; // the refusal counts, whatever its body was to be
    throw Object.assign(new Error('The answer ended early.', { cause: error }), { status: response.status });
  } finally {
    signal.removeEventListener('abort', stop);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

// Errors of a connection that was never made: nothing of the request has left.
const UNSENT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EAI_FAIL',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'EPROTO',
  'UND_ERR_CONNECT_TIMEOUT',
]);
const REFUSALS = ['UNSAFE_URL', 'CREDENTIAL_OVER_HTTP', 'FOREIGN_ORIGIN', 'INVALID_HEADER'] as const;

/**
 * What became of a request that failed: `unsent`, no answer within the deadline (`timeout`), or `cut` after it was sent,
 * when nobody knows whether the server acted on it.
 */
export function fateOf(error: unknown): 'unsent' | 'timeout' | 'cut' {
  const ours = findCountersignError(error);
  if (ours && (REFUSALS as readonly string[]).includes(ours.code)) return 'unsent';
  for (let at: unknown = error, depth = 0; typeof at === 'object' && at !== null && depth < 8; depth++) {
    const { code, syscall, status, errors } = at as {
      code?: unknown;
      syscall?: unknown;
      status?: unknown;
      errors?: unknown[];
    };
    if (typeof status === 'number' && !isCountersignError(at)) return 'cut'; // its head came, its body did not
    if (syscall === 'connect' || (typeof code === 'string' && (UNSENT.has(code) || isTls(code)))) return 'unsent';
    if (Array.isArray(errors) && errors.length > 0 && errors.every((one) => fateOf(one) === 'unsent')) return 'unsent';
    at = (at as { cause?: unknown }).cause;
  }
  return ours?.code === 'TIMEOUT' || (error as { name?: unknown } | undefined)?.name === 'TimeoutError'
    ? 'timeout'
    : 'cut';
}

function isTls(code: string): boolean {
  return /^(?:CERT_|ERR_TLS_|ERR_SSL_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH)/.test(code);
}
