import type { Readable } from 'node:stream';
import type { TlsOptions } from './auth-provider.js';
import type { HeaderFields } from './header-fields.js';

export interface SenderRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: Iterable<[string, string]>;
  readonly body: string | Uint8Array | undefined;
}

export interface SenderResponse {
  readonly status: number;
  readonly statusText: string;
  readonly headers: HeaderFields;
  /** Decoded (gzip, deflate, br), capped in expansion, not buffered. */
  readonly body: Readable;
}

/** Puts one request on the wire. Adds `host`, `connection`, `content-length` and nothing else; follows no redirect. */
export interface Sender {
  /** Rejects with UNREACHABLE (its `cause` has the system's code), or with the signal's reason. */
  send(request: SenderRequest, signal?: AbortSignal): Promise<SenderResponse>;
  close(): void;
}

export interface SenderOptions {
  readonly tls: TlsOptions;
  /** HTTP_PROXY, HTTPS_PROXY and NO_PROXY are read from it. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Refuses private, loopback, link-local and metadata addresses, after DNS, pinned (R6). */
  readonly publicOnly?: boolean;
  /** The one kind of such addresses that is let through: the configured server is itself at "a loopback address". */
  readonly except?: string | undefined;
}

export type SenderFactory = (options: SenderOptions) => Sender;
