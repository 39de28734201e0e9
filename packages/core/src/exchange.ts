import type { Readable } from 'node:stream';
import type { HeaderFields } from './header-fields.js';

export interface ExchangeRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: Iterable<readonly [string, string]>;
  readonly body?: string | Uint8Array | undefined;
}

export interface ExchangeResponse {
  readonly status: number;
  readonly statusText: string;
  readonly headers: HeaderFields;
  /** Where the last hop went. */
  readonly url: URL;
  /** Not buffered. Read it to its end or destroy it. */
  readonly body: Readable;
}

/** Owns one request's life: credentials, challenges, redirects, Retry-After. */
export type Exchange = (request: ExchangeRequest, signal?: AbortSignal) => Promise<ExchangeResponse>;
