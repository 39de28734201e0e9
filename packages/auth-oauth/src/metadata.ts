import { CountersignError, isCountersignError, type GuardedFetch } from '@countersign/core';
import { request, type Answer } from './http.js';
import { isSecure } from './trust.js';

/** Where and how metadata is looked for. */
export interface MetadataSettings {
  readonly server: URL;
  /** For URLs that a server named. */
  readonly fetch: GuardedFetch;
  readonly allowedOrigins: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

/** Reads a document. Throws UNSAFE_URL over plain http, UNREACHABLE, TIMEOUT or TOO_LARGE. */
export async function getMetadata(settings: MetadataSettings, url: string): Promise<Answer> {
  if (!isSecure(new URL(url)))
    throw new CountersignError('UNSAFE_URL', `Metadata at ${new URL(url).origin} would be read over plain http.`);
  try {
    return await request(settings.fetch, url, { headers: { accept: 'application/json' } }, { signal: settings.signal });
  } catch (error) {
    if (isCountersignError(error)) throw error;
    throw new CountersignError('UNREACHABLE', `The metadata at ${new URL(url).host} could not be read.`, {
      cause: error,
    });
  }
}

/** The error for a document that was answered and can't be used. */
export function unreadable(url: URL, answer: Answer): CountersignError {
  const place = `${url.origin}${url.pathname}`;
  if (answer.status >= 300 && answer.status < 400)
    return new CountersignError('REDIRECT_REFUSED', `The metadata at ${place} is a redirect, which is not followed.`);
  if (answer.status !== 200)
    return new CountersignError('METADATA_INVALID', `The metadata at ${place} answered ${answer.status}.`);
  return new CountersignError('METADATA_INVALID', `The metadata at ${place} is not a JSON object.`);
}

export const isStrings = (value: unknown): value is string[] =>
  Array.isArray(value) && value.length <= 1000 && value.every((one) => typeof one === 'string');

/** Others' text in a sentence of ours. */
export function printable(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, 200).replace(/[^\x21-\x7e]/g, '?') : 'nothing';
}
