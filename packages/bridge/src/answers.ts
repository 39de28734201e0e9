import { CountersignError, findCountersignError, type ErrorCode, type ExchangeResponse } from '@countersign/core';

/** JSON-RPC's codes, and those of MCP's SDKs for a deadline and everything else. */
export const PARSE_ERROR = -32700;
export const INVALID_REQUEST = -32600;
const TIMED_OUT = -32001;
const FAILED = -32000;

/** A JSON-RPC answer with a result. `id` as it stood in the request's bytes. */
export function resultAnswer(id: string, result: unknown): Buffer {
  return Buffer.from(`{"jsonrpc":"2.0","id":${id},"result":${JSON.stringify(result)}}`);
}

/** A JSON-RPC error answer. `error` is the error object, or its JSON. */
export function errorAnswer(id: string, error: RpcError): Buffer {
  return Buffer.from(`{"jsonrpc":"2.0","id":${id},"error":${JSON.stringify(error)}}`);
}

export interface RpcError {
  readonly code: number;
  readonly message: string;
  readonly data?: unknown;
}

/** What the client is told of a failure: the sentence and what mends it, and the code for programs. Of an unknown error only its system code. */
export function describe(error: unknown): RpcError {
  if (error instanceof AnsweredError) return error.error;
  const known = findCountersignError(error);
  if (!known) {
    const code = (error as { code?: unknown } | undefined)?.code;
    return {
      code: FAILED,
      message: `The request to the server failed${typeof code === 'string' ? ` (${code})` : ''}.`,
      data: { code: 'UNREACHABLE' satisfies ErrorCode },
    };
  }
  return {
    code: known.code === 'TIMEOUT' ? TIMED_OUT : FAILED,
    message: `${known.message} ${known.server ? known.remedy.replaceAll('SERVER', known.server) : known.remedy}`,
    data: {
      code: known.code,
      ...(known.status === undefined ? {} : { status: known.status }),
      ...(known.retryAfter === undefined ? {} : { retryAfter: known.retryAfter }),
    },
  };
}

/** The server answered with an HTTP error whose body is a JSON-RPC error: the client gets that error. */
export class AnsweredError extends Error {
  readonly status: number;
  readonly error: RpcError;

  constructor(status: number, error: RpcError) {
    super(error.message);
    this.status = status;
    this.error = error;
  }
}

/** The error that an HTTP status stands for. `body`: the first bytes of the response. What the server says of itself may hold the credential (R14). */
export function statusError(
  { status, statusText, headers }: ExchangeResponse,
  body: Buffer,
  redact: (text: string) => string,
): Error {
  if (status === 401) {
    const offers = headers.get('www-authenticate')?.includes('resource_metadata') ?? false;
    const remedy =
      'The server offers OAuth: add --auth oauth to the bridge, or "auth": { "method": "oauth" } to the server.';
    return new CountersignError('UNAUTHORIZED', '401 Unauthorized: the server refuses the credential, or wants one.', {
      status,
      ...(offers ? { remedy } : {}),
    });
  }
  const error = jsonRpcError(body);
  if (error) return new AnsweredError(status, error);
  const code: ErrorCode =
    status === 403 ? 'FORBIDDEN' : status === 413 ? 'TOO_LARGE' : status === 429 ? 'RATE_LIMITED' : 'SERVER_ERROR';
  return new CountersignError(code, `The server answered ${`${status} ${redact(statusText)}`.trim()}.`, { status });
}

function jsonRpcError(body: Buffer): RpcError | undefined {
  try {
    const { error } = JSON.parse(body.toString()) as { error?: RpcError };
    return typeof error === 'object' && Number.isInteger(error.code) && typeof error.message === 'string'
      ? error
      : undefined;
  } catch {
    return undefined;
  }
}
