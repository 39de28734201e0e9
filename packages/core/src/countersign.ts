import type { CredentialStatus, Interaction } from './auth-provider.js';
import type { Clock } from './clock.js';
import type { ErrorCode } from './errors.js';
import type { Exchange, ExchangeRequest } from './exchange.js';
import type { Log } from './log.js';
import type { Plugin } from './plugin.js';
import type { SecretStore } from './secret-store.js';
import type { Transport } from './transport-provider.js';

export interface CountersignOptions {
  /** Plugins in use: default exports of provider and transport packages. Those that the configuration names are loaded besides. */
  readonly plugins?: readonly Plugin[];
  /** The servers, in the configuration file's form (any of its shapes). Either this or `configFile`. */
  readonly servers?: Readonly<Record<string, unknown>>;
  /** Path of a configuration file (JSON with comments). */
  readonly configFile?: string;
  /** File URL from which plugins are looked for that the configuration's folder does not have. */
  readonly pluginsFallback?: string;
  /** Path of a .env file. By default `.env` beside the configuration, else in the working folder, if there is one. */
  readonly envFile?: string;
  /** Replaces process.env, for what the configuration refers to. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Overrides every server's `profile`. */
  readonly profile?: string;
  /** Milliseconds; overrides every server's `timeout`. */
  readonly timeout?: number;
  /** With it, a request that needs a sign-in runs one `login` for all that wait, and goes on. Without, it fails with LOGIN_REQUIRED. */
  readonly interaction?: Interaction;
  /** Where secrets are kept; memory by default (the CLI passes the file store). A plugin's store goes before. */
  readonly store?: SecretStore;
  readonly clock?: Clock;
  readonly log?: Log;
}

export interface ServerSummary {
  readonly name: string;
  /** "streamable-http", "sse", "stdio". */
  readonly transport: string;
  readonly url?: URL;
  readonly command?: string;
  /** Methods, in order: ["oauth"]; empty for none. Providers reached through a variable included. */
  readonly auth: readonly string[];
  readonly profile: string;
  /** Milliseconds. */
  readonly timeout: number;
  /** True when nobody chose the timeout. */
  readonly timeoutIsDefault: boolean;
  /** Milliseconds without a byte that end a stream, where configured. */
  readonly idle?: number;
}

export interface Finding {
  readonly code: string;
  readonly message: string;
  readonly server?: string;
  readonly field?: string;
  readonly remedy: string;
}

export interface CheckReport {
  readonly ok: boolean;
  readonly errors: readonly (Finding & { readonly code: ErrorCode })[];
  readonly warnings: readonly Finding[];
}

export interface PreviewedHeader {
  readonly name: string;
  readonly value: string;
  /** A person is shown it masked: its name is a credential's, or a secret variable or provider made it. */
  readonly sensitive: boolean;
}

export interface RequestPreview {
  readonly method: string;
  readonly url: URL;
  readonly headers: readonly PreviewedHeader[];
  readonly body: string | undefined;
}

export interface InstalledProviders {
  readonly auth: readonly {
    type: string;
    stage: 'credential' | 'signature';
    variables: readonly string[];
    signatures: readonly string[];
    options: Record<string, unknown>;
  }[];
  readonly transports: readonly { type: string; options: Record<string, unknown> }[];
  readonly stores: readonly { description: string }[];
}

/** One instance: its servers, their providers and transports. */
export interface Countersign {
  readonly servers: readonly ServerSummary[];
  /** Opens a transport for the SDK's `Client`. Rejects with UNKNOWN_SERVER. */
  transport(name: string, signal?: AbortSignal): Promise<Transport>;
  /** The server's `authorizedFetch`. Answers a function at once, which rejects with UNKNOWN_SERVER for a name that isn't configured. */
  fetch(name: string): typeof globalThis.fetch;
  /** The exchange itself, for those who pass bytes. Throws UNKNOWN_SERVER. */
  exchange(name: string): Exchange;
  /** Signs in, with the given interaction or the instance's. */
  login(name: string, options?: { interaction?: Interaction; signal?: AbortSignal }): Promise<void>;
  logout(name: string): Promise<void>;
  /** Drops cached access credentials; what renews them stays. */
  refresh(name: string): Promise<void>;
  /** `detail` permits a question to the vendor (whoami). */
  status(name: string, options?: { detail?: boolean }): Promise<CredentialStatus>;
  /** What a request carries now: the real exchange with a recording sender, nothing sent to the server. */
  preview(name: string, request?: Partial<ExchangeRequest>): Promise<RequestPreview>;
  /** Validates the configuration, and reports what is unsafe in it, without the network. */
  check(): CheckReport;
  installed(): InstalledProviders;
  /** Hides every secret that this instance knows. */
  redact(text: string): string;
  close(): Promise<void>;
}
