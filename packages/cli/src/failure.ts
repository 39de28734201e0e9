import { findCountersignError } from '@countersign/core';

/** An error as programs see it under `error` of a JSON document. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
  readonly server?: string;
}

/** How the command line named its server and its configuration: a remedy's command repeats it. */
export interface Address {
  readonly url?: URL | undefined;
  /** " --config FILE --profile NAME", or nothing. */
  readonly options: string;
}

// What people look up: the sentence that the screen begins with.
const TITLES: Readonly<Record<string, string>> = {
  UNAUTHORIZED: '401 Unauthorized',
  CALLBACK_SERVER_FAILED: 'Failed to start OAuth callback server',
  AUTH_HEADERS_MISSING: 'Authentication headers missing',
};

// JSON-RPC codes that the SDK makes itself.
const CONNECTION_CLOSED = -32000;
const REQUEST_TIMEOUT = -32001;

/** Makes of any thrown value what a person or a program can act on. Reads nothing but codes and messages: no body, no stack. */
export function failure(error: unknown, server?: string, address?: Address): Failure {
  const told = tell(error, server);
  return address ? { ...told, remedy: addressed(told.remedy, address) } : told;
}

function tell(error: unknown, server?: string): Failure {
  const known = findCountersignError(error);
  if (known) return named(titled(known.code, known.message), known.remedy, known.code, known.server ?? server);
  const { message, code } = plain(error);
  switch (true) {
    case typeof code === 'number' && isProtocolError(error):
      return protocolFailure(code, message, server);
    case typeof code === 'number' && code >= 400: // The SDK's HTTP error: a status that no provider answered for.
      if (code === 401 || code === 403)
        return named(
          titled(code === 401 ? 'UNAUTHORIZED' : 'FORBIDDEN', message),
          'Check the credential: `countersign headers SERVER` shows what is sent.',
          code === 401 ? 'UNAUTHORIZED' : 'FORBIDDEN',
          server,
        );
      return named(message, 'Check the URL of the server; --debug shows the exchange.', 'SERVER_ERROR', server);
    case isAbort(error):
      return named('Stopped before the work was done.', 'Run it again when you want it to finish.', 'ABORTED', server);
    default:
      return named(message, 'Run it again with --debug, and report it if it stays.', 'INTERNAL', server);
  }
}

function protocolFailure(code: number, message: string, server: string | undefined): Failure {
  const text = message.replace(/^(?:MCP error -?\d+: )+/, '');
  if (code === REQUEST_TIMEOUT)
    return named(
      `There was no answer in time: ${text}.`,
      'Check that the server is up, or raise "timeout" (seconds).',
      'TIMEOUT',
      server,
    );
  if (code === CONNECTION_CLOSED && text === 'Connection closed')
    return named(
      'The server closed the connection.',
      'Check that the server is up; --debug shows the exchange.',
      'UNREACHABLE',
      server,
    );
  return named(
    `The server answered with error ${code}: ${text}`,
    "Read the server's message; --debug shows the exchange.",
    'SERVER_ERROR',
    server,
  );
}

function named(message: string, remedy: string, code: string, server: string | undefined): Failure {
  return {
    code,
    message,
    remedy: server ? remedy.replaceAll('SERVER', server) : remedy,
    ...(server === undefined ? {} : { server }),
  };
}

/** A remedy's command with what it needs to be typed as it stands. */
function addressed(remedy: string, { url, options }: Address): string {
  return remedy.replace(
    /`countersign ([a-z]+) ([^\s`-][^\s`]*)([^`]*)`/g,
    (_, command: string, name: string, rest: string) =>
      `\`countersign ${command} ${name === url?.host ? url.href : name}${rest}${options}\``,
  );
}

function titled(code: string, message: string): string {
  const title =
    code === 'UNRESOLVED_VARIABLE' && /\bheader\b/i.test(message) ? TITLES['AUTH_HEADERS_MISSING'] : TITLES[code];
  return title === undefined || message.includes(title) ? message : `${title}: ${message}`;
}

function plain(error: unknown): { message: string; code: unknown } {
  if (typeof error !== 'object' || error === null) return { message: String(error), code: undefined };
  const { message, code } = error as { message?: unknown; code?: unknown };
  return { message: typeof message === 'string' && message !== '' ? message : 'It failed without saying why.', code };
}

const isProtocolError = (error: unknown): boolean => error instanceof Error && error.name === 'McpError';
const isAbort = (error: unknown): boolean => error instanceof Error && error.name === 'AbortError';
