import type { $ZodType } from 'zod/v4/core';
import type { Clock } from './clock.js';
import type { Exchange } from './exchange.js';
import type { Log } from './log.js';

/** A message of the protocol, as the transport carries it. */
export type JsonRpcMessage = { jsonrpc: '2.0' } & Record<string, unknown>;

/** The MCP SDK's `Transport`, by structure: objects of v1 fit it. */
export interface Transport {
  start(): Promise<void>;
  send(message: never, options?: never): Promise<void>;
  close(): Promise<void>;
  onclose?: () => void;
  onerror?: (error: Error) => void;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- the SDK's generic message type fits nothing stricter
  onmessage?: (message: any, extra?: any) => void;
  sessionId?: string;
  setProtocolVersion?: (version: string) => void;
}

/** Opens the transport to one server. */
export interface TransportProvider {
  /** A transport that is ready for `start`, or started. Each call opens a new one. */
  open(signal?: AbortSignal): Promise<Transport>;
}

/** What core lends a transport. */
export interface TransportServices {
  readonly server: { readonly name: string; readonly url: URL | undefined };
  /** `authorizedFetch`, which throws UNAUTHORIZED or FORBIDDEN when the credential stays refused. */
  readonly fetch: typeof globalThis.fetch;
  readonly exchange: Exchange;
  /** The rendered `env` of the configuration; variables are computed at each call. */
  readonly env: () => Promise<Record<string, string>>;
  /** Resolves a path of the configuration against its folder. */
  readonly path: (file: string) => string;
  /** Milliseconds. `request`: one request's deadline. `idle`: no byte for so long on a stream, and the connection is lost. */
  readonly timeouts: { readonly request: number; readonly idle: number | undefined };
  /** True when the configuration names the transport; false when it was inferred from `url`, which permits the fallback to SSE. */
  readonly explicit: boolean;
  /** The same server over another type of transport, for a fallback. Undefined when no installed plugin has the type. */
  transport?(type: string): TransportProvider | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** Hides the secrets that are known: for text of the server's that goes into an error. */
  readonly redact: (text: string) => string;
}

export interface TransportProviderDefinition<Options = unknown> {
  /** "streamable-http": the value of `transport_type`, with `-` for `_`. */
  readonly type: string;
  /** The server's fields that the transport reads: `url`, or `command`, `args` … */
  readonly options: $ZodType<Options>;
  create(options: Options, services: TransportServices): TransportProvider;
}
