import type { $ZodType } from 'zod/v4/core';
import type { Challenge } from './challenges.js';
import type { Clock } from './clock.js';
import type { GuardedFetch } from './guarded-fetch.js';
import type { HeaderFields } from './header-fields.js';
import type { Log } from './log.js';
import type { TokenStore } from './secret-store.js';
import type { BoundTemplate } from './template.js';

/** One attempt at a request. The provider owns this copy and may change its headers. */
export interface OutgoingRequest {
  readonly method: string;
  /** Canonical: what goes on the wire. An SSE endpoint's POST URL is its own. */
  readonly url: URL;
  readonly headers: HeaderFields;
  /** Final: the bytes that are sent. */
  readonly body: string | Uint8Array | undefined;
  readonly attempt: Attempt;
}

/** One object for everything that is computed within an attempt, so that its values agree. */
export interface Attempt {
  /** 1 for the first try of a request, 2 after a renewal … */
  readonly number: number;
  /** The attempt's one clock reading. */
  readonly time: Date;
  /** A UUID, new for each attempt. */
  readonly nonce: string;
  /** Computes once for each key and attempt. */
  memo<T>(key: object, make: () => T): T;
}

/** What a refusal says, in the vendor's words, and what mends it. */
export interface RefusalMeaning {
  readonly said: string;
  readonly remedy: string;
}

/** Status and headers of a response. */
export interface ResponseHead {
  readonly status: number;
  readonly headers: HeaderFields;
  readonly url: URL;
}

/** Authenticates the requests to one server. Only `authorize` is required. */
export interface AuthProvider {
  /** Puts credentials on the request. Runs before every attempt, every redirect hop, every stream reconnect. Throwing sends nothing. */
  authorize(request: OutgoingRequest, signal?: AbortSignal): void | Promise<void>;
  /** A 401 or 403 came. Renew, and answer whether the request is worth sending again. May wait; never sends the request itself. */
  challenge?(context: ChallengeContext): Promise<boolean>;
  /** Sees every response's status and headers: a server clock, a DPoP nonce. */
  observe?(response: ResponseHead): void;
  /** A 401 or 403 stays: what it means in this scheme, for the error that the caller sees. `body` is its beginning (4 KB). `undefined` when the refusal is not of this scheme. */
  explain?(response: ResponseHead, body: string): RefusalMeaning | undefined;
  /** Computes a variable that the definition lists, for `${NAME}` in headers and in a child's environment (then without a request). */
  variable?(
    name: string,
    request: OutgoingRequest | undefined,
    signal?: AbortSignal,
  ): string | undefined | Promise<string | undefined>;
  /** For people and diagnostics. Never a secret. `detail` is true for `whoami`, the only time a vendor's endpoint may be asked. */
  status?(detail?: boolean): ProviderStatus | Promise<ProviderStatus>;
  /** Interactive sign-in. Never called from inside a provider call. */
  login?(interaction: Interaction, signal?: AbortSignal): Promise<void>;
  /** Forgets the sign-in. */
  logout?(): Promise<void>;
  /** Drops cached access credentials and keeps what renews them: the shell's /refresh. */
  refresh?(): void | Promise<void>;
  dispose?(): void | Promise<void>;
}

export interface ChallengeContext {
  /** As it was sent: compare its credential with the current one. */
  readonly request: OutgoingRequest;
  readonly response: ResponseHead;
  /** WWW-Authenticate, parsed (RFC 9110 11.6.1). */
  readonly challenges: readonly Challenge[];
  /** The body's beginning: at most `limit` bytes (64 KB) within 5 s; the caller still gets the whole of it. */
  body(limit?: number): Promise<string>;
  /** The renewal's own deadline, not one waiter's. */
  readonly signal: AbortSignal;
}

export interface CredentialUsage {
  readonly requests: number;
  readonly refused: number;
  readonly lastUsed?: Date;
}

export interface CredentialStatus {
  readonly state: 'ready' | 'login_required' | 'failed' | 'unused';
  /** Where the credential comes from: "environment ACME_TOKEN", "file ~/.token", "AWS profile dev". */
  readonly source: string;
  readonly principal?: string;
  readonly issuer?: string;
  readonly scopes?: readonly string[];
  readonly audience?: string;
  readonly expiresAt?: Date;
  readonly refreshable?: boolean;
  /** Why it is not ready, or why it can't be refreshed. */
  readonly reason?: string;
  /** Public claims of the credential, for `whoami`. */
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly usage: CredentialUsage;
}

/** What a provider answers; the exchange adds the usage that it counted. */
export type ProviderStatus = Omit<CredentialStatus, 'usage'>;

/** What a sign-in tells the person as it goes. */
export type LoginEvent =
  | { readonly type: 'listening'; readonly url: string }
  | { readonly type: 'opening'; readonly url: string }
  | {
      readonly type: 'device';
      readonly verificationUri: string;
      readonly userCode: string;
      readonly verificationUriComplete?: string;
      readonly expiresAt?: Date;
    }
  | { readonly type: 'note'; readonly message: string }
  | { readonly type: 'succeeded' };

/** The person at the other end of a sign-in. */
export interface Interaction {
  /** Shows the URL, and opens it where that is wanted and possible. */
  show(url: URL): Promise<'opened' | 'shown'>;
  /** Asks for a line: a pasted callback URL. Rejects at the end of input or on abort. */
  ask(question: string, signal?: AbortSignal): Promise<string>;
  tell(event: LoginEvent): void;
  /** How the person wants to sign in; `browser` when absent. */
  readonly prefer?: 'browser' | 'device';
  /** What the person has from another program: it is taken over, and nobody signs in. */
  readonly tokens?: IssuedTokens;
}

/** Tokens that another program was issued for the server (RFC 6749 section 5.1). */
export interface IssuedTokens {
  readonly accessToken: string;
  readonly refreshToken?: string;
  /** When the access token ends; absent where nobody said. */
  readonly expiresAt?: Date;
  readonly scope?: string;
  /** Who issued them, where it is known: those of another issuer than the server's are refused. */
  readonly issuer?: string;
  /** The client that they were issued to; absent for the one that the configuration names. */
  readonly client?: { readonly id: string; readonly secret?: string; readonly authMethod?: string };
}

/** What core lends a provider: only what is its own. */
export interface AuthServices {
  readonly server: { readonly name: string; readonly url: URL | undefined };
  /** The profile that the server is used with; "default" unless configured. */
  readonly profile: string;
  /** True when only a template's variable reached the provider and no `auth` names it: give values only to hosts that you know. */
  readonly implicit: boolean;
  /** The store, scoped to this server, provider and profile. */
  readonly tokens: TokenStore;
  /** Guarded fetch without credentials, for URLs from the configuration or a vendor's library: capped, 10 s unless `deadline` says more, no redirects. */
  readonly fetch: GuardedFetch;
  /** The same for URLs that a server named: refuses private addresses besides (R6). */
  readonly fetchNamed: GuardedFetch;
  /** A template bound to this server: its variables are answered by the server's own providers, the environment and core. */
  readonly template: (text: string) => BoundTemplate;
  readonly clock: Clock;
  /** The environment and .env, without process.env being changed. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Resolves a path of the configuration against its folder; `~/` is the home folder. */
  readonly path: (file: string) => string;
  /** TLS files of the server, read: PEM. */
  readonly tls: TlsOptions;
  /** Hides a value in every output from now on. */
  readonly conceal: (secret: string) => void;
  readonly allowedOrigins: readonly string[];
  readonly log: Log;
}

export interface TlsOptions {
  /** PEM certificates that are trusted besides the system's. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface AuthProviderDefinition<Options = unknown> {
  /** The value of `auth.method`: "aws-sigv4". */
  readonly type: string;
  /** Signatures run last; one server has at most one. `credential` when absent. */
  readonly stage?: 'credential' | 'signature';
  /** zod or zod/mini. Secret fields carry `{ secret: true }` in their metadata. Unknown fields are refused: use a strict object. */
  readonly options: $ZodType<Options>;
  /** Variables rendered with the other headers: ["TIMESTAMP", "AWS_SESSION_TOKEN"]. */
  readonly variables?: readonly string[];
  /** Variables rendered last, over the final headers: ["AWS_SIGNATURE"]. */
  readonly signatures?: readonly string[];
  /** The headers that it will set, in lower case, so that a conflict is found without a request. */
  sets?(options: Options): readonly string[];
  create(options: Options, services: AuthServices): AuthProvider;
}
