import type { Readable, Writable } from 'node:stream';
import type { Exchange, Log } from '@countersign/core';

export interface BridgeOptions {
  /** Sends a request with the server's credentials. */
  readonly exchange: Exchange;
  readonly url: URL;
  /** The server's name, for messages; its host by default. */
  readonly name?: string;
  readonly stdin: Readable;
  readonly stdout: Writable;
  /** Forces one transport. By default streamable HTTP, and SSE where a 4xx answers `initialize`. */
  readonly transport?: 'streamable-http' | 'sse' | undefined;
  /** Milliseconds that a request may take; 300,000 by default. */
  readonly timeout?: number | undefined;
  /** Milliseconds without a byte after which a stream counts as lost; none by default. */
  readonly idle?: number | undefined;
  /** Bytes of one message, either way; 32 MiB by default. */
  readonly maxMessage?: number | undefined;
  /** The command that signs in; `countersign login NAME` by default. */
  readonly login?: string | undefined;
  /**
   * Anything that differs once somebody has signed in, cheap to compute: asked each second while nobody is.
   * Without it the server itself is asked, ever more seldom.
   */
  readonly credential?: (() => unknown) | undefined;
  /** Ends the bridge at once: what is pending is answered with an error, and the session is ended. */
  readonly signal?: AbortSignal | undefined;
  readonly log?: Log | undefined;
  /** Hides the secrets in a text that goes into the bridge's own errors. */
  readonly redact?: ((text: string) => string) | undefined;
}
