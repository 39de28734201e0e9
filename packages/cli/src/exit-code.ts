import type { ErrorCode } from '@countersign/core';

/** What the process ends with, by the contract of docs/cli.md. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  authentication: 3,
  unreachable: 4,
  serverError: 5,
} as const;

const BY_CODE: Readonly<Record<ErrorCode, number>> = {
  ABORTED: EXIT.failed,
  AMBIGUOUS_VARIABLE: EXIT.usage,
  AUTH_HEADERS_MISSING: EXIT.usage,
  AUTH_OPTIONS_INVALID: EXIT.usage,
  CALLBACK_SERVER_FAILED: EXIT.authentication,
  CONFIG_INVALID: EXIT.usage,
  CONFIG_NOT_FOUND: EXIT.usage,
  CREDENTIAL_OVER_HTTP: EXIT.usage,
  CREDENTIAL_UNAVAILABLE: EXIT.authentication,
  DUPLICATE_AUTH_METHOD: EXIT.usage,
  FORBIDDEN: EXIT.authentication,
  FOREIGN_ORIGIN: EXIT.failed,
  HEADER_CONFLICT: EXIT.usage,
  INTERNAL: 1,
  INVALID_HEADER: EXIT.usage,
  INVALID_TEMPLATE: EXIT.usage,
  LOCK_LOST: EXIT.failed,
  LOGIN_FAILED: EXIT.authentication,
  LOGIN_REQUIRED: EXIT.authentication,
  METADATA_INVALID: EXIT.authentication,
  PLUGIN_FAILED: EXIT.usage,
  RATE_LIMITED: EXIT.serverError,
  REDIRECT_REFUSED: EXIT.failed,
  SERVER_ERROR: EXIT.serverError,
  SERVER_EXITED: EXIT.unreachable,
  STORE_CORRUPT: EXIT.failed,
  STORE_FAILED: EXIT.failed,
  STORE_INSECURE: EXIT.failed,
  TIMEOUT: EXIT.unreachable,
  TOKEN_REQUEST_FAILED: EXIT.authentication,
  TOO_LARGE: EXIT.failed,
  UNAUTHORIZED: EXIT.authentication,
  UNKNOWN_AUTH_METHOD: EXIT.usage,
  UNKNOWN_SERVER: EXIT.usage,
  UNKNOWN_TRANSPORT: EXIT.usage,
  UNREACHABLE: EXIT.unreachable,
  UNRESOLVED_VARIABLE: EXIT.usage,
  UNSAFE_URL: EXIT.authentication,
  USAGE: EXIT.usage,
};

/** The exit code of one failure; of a code that this version doesn't know, 1. */
export function exitCode(code: string): number {
  return (BY_CODE as Record<string, number | undefined>)[code] ?? EXIT.failed;
}

/** The exit code of several servers' failures: 3 if any needs a person, else 4 if any is unreachable, else 1; of a single one its own. */
export function exitCodeOfAll(codes: readonly string[]): number {
  const exits = codes.map(exitCode);
  const [only] = exits;
  if (only === undefined) return EXIT.done;
  if (exits.length === 1) return only;
  if (exits.includes(EXIT.authentication)) return EXIT.authentication;
  return exits.includes(EXIT.unreachable) ? EXIT.unreachable : EXIT.failed;
}
