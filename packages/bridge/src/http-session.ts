import { isCountersignError } from '@countersign/core';
import { AnsweredError } from './answers.js';
import type { Call } from './pending.js';

/** The media type of an event stream. */
export const EVENTS = 'text/event-stream';

type Fields = readonly (readonly [string, string])[];

/** One session of the server, or the time without one. */
export interface Session {
  readonly id: string | undefined;
  /** Headers of a POST, and of everything that has no body. */
  readonly post: Fields;
  readonly rest: Fields;
}

/** Requests that change nothing, so that asking twice does no harm. */
const SAFE = new Set([
  'ping',
  'tools/list',
  'resources/list',
  'resources/templates/list',
  'resources/read',
  'prompts/list',
  'prompts/get',
  'completion/complete',
]);

/** A session, or the time without one. */
export function session(id?: string, version?: string): Session {
  const rest: (readonly [string, string])[] = [];
  if (id !== undefined) rest.push(['mcp-session-id', id]);
  if (version !== undefined) rest.push(['mcp-protocol-version', version]);
  return { id, rest, post: [['content-type', 'application/json'], ['accept', `application/json, ${EVENTS}`], ...rest] };
}

const GONE =
  /\b(?:no|not a|invalid|unknown|expired|missing)\b[\w ]*\bsession\b|\bsession(?: id)?(?: is| was| has)? ?(?:not found|not valid|invalid|unknown|expired|missing|required|terminated|closed)|mcp-session-id/i;

/** 404, as the specification says, or the 400 with a word on the session that the SDK's example servers give. */
export function lostSession(current: Session, error: unknown): boolean {
  if (current.id === undefined) return false;
  const { status } = error as { readonly status?: number };
  return status === 404 || (status === 400 && error instanceof AnsweredError && GONE.test(error.message));
}

/** The server can't have run it, or running it twice does no harm. */
export function repeatable(call: Call, error: unknown): boolean {
  if (!isCountersignError(error, 'UNREACHABLE')) return false;
  const { code } = (error.cause ?? {}) as { code?: string };
  return (
    code === 'ECONNREFUSED' || (call.pending.size > 0 && [...call.pending].every(({ method }) => SAFE.has(method)))
  );
}
