/** What each error code means to a person: when it happens, and what mends it. docs/errors.md is generated from this table. */
export const ERROR_CODES = {
  ABORTED: { when: 'The caller gave up before the work was done.', remedy: 'Run it again when you want it to finish.' },
  AMBIGUOUS_VARIABLE: {
    when: 'Two installed providers compute the same variable, and the server configures neither.',
    remedy: 'Name the one you mean in the server\'s "auth".',
  },
  AUTH_HEADERS_MISSING: {
    when: 'A header that authenticates the request came out empty.',
    remedy: 'Set the variable that the message names, in the environment or in .env.',
  },
  AUTH_OPTIONS_INVALID: {
    when: 'The options of an auth method do not fit its schema.',
    remedy: 'Correct the field that the message names; `countersign providers` lists every option.',
  },
  CALLBACK_SERVER_FAILED: {
    when: 'Failed to start OAuth callback server: its port is taken or not allowed.',
    remedy:
      'Stop the program that holds the port, or set "callbackPort" (or "redirectUri") in the server\'s "auth" to one that is registered and free: 0 is any, where the server takes any loopback port. Without "clientId" a free one is taken, where the server registers clients.',
  },
  CONFIG_INVALID: {
    when: 'The configuration does not fit its schema.',
    remedy: 'Correct the field that the message names; docs/configuration.md lists them all.',
  },
  CONFIG_NOT_FOUND: {
    when: 'No configuration file was named, or the named one cannot be read.',
    remedy: 'Name one with --config FILE or $COUNTERSIGN_CONFIG, or put it in your configuration folder.',
  },
  CREDENTIAL_OVER_HTTP: {
    when: 'A credential would travel over plain http to a host that is not this machine.',
    remedy:
      'Use https, or list the host under "countersign": { "allowInsecureHttp": ["host"] } if you accept that anyone on the way can read the credential.',
  },
  CREDENTIAL_UNAVAILABLE: {
    when: 'The source that holds the credential cannot give one.',
    remedy: 'Follow what the message says of the source.',
  },
  DUPLICATE_AUTH_METHOD: {
    when: 'Two plugins register the same auth method, transport or store.',
    remedy: 'Remove one of the two plugins.',
  },
  FORBIDDEN: {
    when: 'The server knows the credential and refuses the request (403).',
    remedy: 'Give the credential the role or scope that the server asks for.',
  },
  FOREIGN_ORIGIN: {
    when: "A request for another origin than the server's own was about to carry its credentials.",
    remedy: 'Configure the other origin as a server of its own.',
  },
  HEADER_CONFLICT: {
    when: "Two members of a server's authentication set the same header.",
    remedy: 'Remove the header from one of the two.',
  },
  INTERNAL: {
    when: 'A failure that Countersign did not expect.',
    remedy: 'Run it again with --debug, and report what it says; secrets are hidden in it.',
  },
  INVALID_HEADER: {
    when: 'A header name or value holds a character that HTTP does not allow.',
    remedy:
      'Look for a line break or a non-Latin-1 character in the variable that the message names; a secret read from a file often ends with a newline.',
  },
  INVALID_TEMPLATE: {
    when: 'A ${…} in the configuration is not a variable reference.',
    remedy: 'Write ${NAME}, ${NAME:-default}, ${env:NAME} or ${request:timestamp}; $${ gives a literal ${.',
  },
  LOCK_LOST: {
    when: 'Another process took over the lock of a stored credential, so this one did not write.',
    remedy: 'Run the command again; the other process has the current credential.',
  },
  LOGIN_FAILED: {
    when: 'The sign-in was denied, timed out or answered with an error.',
    remedy: 'Run `countersign login SERVER` again.',
  },
  LOGIN_REQUIRED: { when: 'The server wants a person to sign in.', remedy: 'Run `countersign login SERVER`.' },
  METADATA_INVALID: {
    when: "The server's authorization metadata is missing, contradictory or unsafe.",
    remedy: "Tell the server's operator what the message says, or configure the endpoint yourself.",
  },
  PLUGIN_FAILED: {
    when: 'A plugin is missing, throws while it loads, or is not a plugin.',
    remedy: 'Install it beside the configuration file, or report the error to its author.',
  },
  RATE_LIMITED: {
    when: 'The server asks to wait longer than Countersign does by itself, or the request is not safe to repeat.',
    remedy: 'Try again after the delay that the message gives.',
  },
  REDIRECT_REFUSED: {
    when: 'The server redirected the request somewhere that must not see the credential, or too often.',
    remedy: 'Configure the final URL of the server.',
  },
  SERVER_ERROR: {
    when: 'The server answered with an error of its own.',
    remedy: "Read the server's message; --debug shows the exchange.",
  },
  SERVER_EXITED: {
    when: 'A stdio server ended.',
    remedy: 'Run its command by hand to see why; its last lines are in the message.',
  },
  STORE_CORRUPT: {
    when: 'A stored credential could not be read and was moved aside.',
    remedy: 'Sign in again; the old file is kept beside the store.',
  },
  STORE_FAILED: {
    when: 'The secret store could not be read or written.',
    remedy: 'Free some space or mend the permissions that the message names.',
  },
  STORE_INSECURE: {
    when: 'Other users can read the secret store.',
    remedy: 'Run the chmod or chown command that the message gives.',
  },
  TIMEOUT: {
    when: 'There was no answer within the deadline.',
    remedy: 'Check that the server is up, or raise "timeout" (seconds).',
  },
  TOKEN_REQUEST_FAILED: {
    when: 'The endpoint that gives out tokens refused or failed.',
    remedy: 'Check the client, secret or key that the message names.',
  },
  TOO_LARGE: {
    when: 'A message is larger than the cap, or a compressed one unpacks to far more than it should.',
    remedy: 'Ask the server for less at a time, or raise the cap that the message names.',
  },
  UNAUTHORIZED: {
    when: '401 Unauthorized: the server refuses the credential.',
    remedy: 'Check the credential that the message names; `countersign headers SERVER` shows what is sent.',
  },
  UNKNOWN_AUTH_METHOD: {
    when: 'No installed plugin has the auth method.',
    remedy: 'Install the package that the message names, and list it under "plugins".',
  },
  UNKNOWN_SERVER: {
    when: 'The configuration has no server of that name.',
    remedy: 'Use one of the names that the message lists.',
  },
  UNKNOWN_TRANSPORT: {
    when: 'No installed plugin has the transport type.',
    remedy: 'Install the package that the message names, and list it under "plugins".',
  },
  UNREACHABLE: {
    when: 'The server could not be reached.',
    remedy: 'Check the URL, the network, the proxy (HTTPS_PROXY, NO_PROXY) and the certificate ("ca").',
  },
  UNRESOLVED_VARIABLE: {
    when: 'A variable in the configuration has no value.',
    remedy: 'Set it in the environment or in .env, or give a default: ${NAME:-default}.',
  },
  UNSAFE_URL: {
    when: 'A URL that a server named points where it must not.',
    remedy: 'Do not trust this server until its operator explains the URL.',
  },
  USAGE: { when: 'The command line is not one that Countersign knows.', remedy: 'Run the command with --help.' },
} as const satisfies Record<string, { when: string; remedy: string }>;

export type ErrorCode = keyof typeof ERROR_CODES;

export interface CountersignErrorOptions {
  readonly cause?: unknown;
  /** Replaces the table's remedy where the case at hand knows a better one. */
  readonly remedy?: string;
  /** The server that it concerns. */
  readonly server?: string;
  /** HTTP status, where a response was the reason. */
  readonly status?: number;
  /** Seconds to wait before another try makes sense. */
  readonly retryAfter?: number;
}

const BRAND = Symbol.for('countersign.Error');

/** The one error that Countersign throws: a code that programs match, a sentence with the fact at hand, and what mends it. Holds no secret, query string or body. */
export class CountersignError extends Error {
  override readonly name = 'CountersignError';
  readonly code: ErrorCode;
  readonly remedy: string;
  declare server?: string;
  declare readonly status?: number;
  declare readonly retryAfter?: number;

  constructor(code: ErrorCode, message: string, options: CountersignErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.remedy = options.remedy ?? ERROR_CODES[code].remedy;
    if (options.server !== undefined) this.server = options.server;
    if (options.status !== undefined) this.status = options.status;
    if (options.retryAfter !== undefined) this.retryAfter = options.retryAfter;
    Object.defineProperty(this, BRAND, { value: true });
  }
}

/** Recognises a CountersignError of any copy of core, along the chain of causes (at most 8 deep) and in the `data` of a JSON-RPC error that a transport made up. */
export function findCountersignError(error: unknown): CountersignError | undefined {
  for (let depth = 0; depth < 8 && typeof error === 'object' && error !== null; depth++) {
    if (BRAND in error) return error as unknown as CountersignError;
    error = (error as { cause?: unknown }).cause ?? (error as { data?: unknown }).data;
  }
  return undefined;
}

/** True for a CountersignError of any copy of core, with one of `codes` if any are given. */
export function isCountersignError(error: unknown, ...codes: ErrorCode[]): error is CountersignError {
  return (
    typeof error === 'object' &&
    error !== null &&
    BRAND in error &&
    (codes.length === 0 || codes.includes((error as unknown as CountersignError).code))
  );
}
