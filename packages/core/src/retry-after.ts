import type { HeaderFields } from './header-fields.js';

/** Milliseconds to wait by a Retry-After field (RFC 9110 10.2.3: seconds or a date); undefined when there is none or it is neither. */
export function retryAfter(field: string | undefined, now: number): number | undefined {
  const text = field?.trim();
  if (!text) return undefined;
  if (/^\d{1,10}$/.test(text)) return Number(text) * 1000;
  if (!/^[A-Z][a-z]{2,8}, /.test(text)) return undefined;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/**
 * Milliseconds to wait by a response that a limit refused: 429 or 503 with Retry-After, or 403 and 429 whose x-ratelimit-remaining is 0
 * until x-ratelimit-reset (seconds since the epoch, by the server's clock). `undefined` for any other, which no waiting mends.
 */
export function limitDelay(status: number, headers: HeaderFields, now: number): number | undefined {
  if (status !== 403 && status !== 429 && status !== 503) return undefined;
  const after = retryAfter(headers.get('retry-after'), now);
  if (after !== undefined) return after;
  const reset = Number(headers.get('x-ratelimit-reset'));
  if (status === 503 || headers.get('x-ratelimit-remaining') !== '0' || !(reset > 1e9 && reset < 1e11))
    return undefined;
  const date = Date.parse(headers.get('date') ?? '');
  return Math.max(1000, reset * 1000 - (Number.isNaN(date) ? now : date));
}
