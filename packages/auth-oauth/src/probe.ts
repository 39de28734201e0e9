import { CountersignError, parseChallenges, type Challenge, type GuardedFetch } from '@countersign/core';
import { fateOf } from './http.js';

/**
 * Asks the server without credentials, to hear what it wants: `initialize`, then, where that is open to all,
 * `tools/list` in the session that it opened. `undefined` when neither was refused. Throws UNREACHABLE.
 */
export async function probe(fetch: GuardedFetch, server: URL, signal?: AbortSignal): Promise<Challenge | undefined> {
  const first = await post(fetch, server, INITIALIZE, {}, signal);
  if (first.challenge) return first.challenge;
  const headers: Record<string, string> = {
    'mcp-protocol-version': VERSION,
    ...(first.session ? { 'mcp-session-id': first.session } : {}),
  };
  const second = await post(fetch, server, TOOLS_LIST, headers, signal);
  if (first.session) await send(fetch, server, { method: 'DELETE', headers }, signal).catch(() => undefined);
  if (second.challenge || (first.status !== 404 && first.status !== 405)) return second.challenge;
  return getStream(fetch, server, signal);
}

const VERSION = '2025-11-25';
const CLIENT = { name: 'countersign', version: '0.1.0' };
const INITIALIZE = {
  jsonrpc: '2.0',
  id: 0,
  method: 'initialize',
  params: { protocolVersion: VERSION, capabilities: {}, clientInfo: CLIENT },
};
const TOOLS_LIST = { jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} };

interface Heard {
  readonly status: number;
  readonly challenge: Challenge | undefined;
  readonly session: string | undefined;
}

function post(
  fetch: GuardedFetch,
  server: URL,
  message: object,
  headers: Record<string, string>,
  signal?: AbortSignal,
): Promise<Heard> {
  const all = { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers };
  return send(fetch, server, { method: 'POST', headers: all, body: JSON.stringify(message) }, signal);
}

/** A server of the older SSE transport knows no POST at its URL. */
async function getStream(fetch: GuardedFetch, server: URL, signal?: AbortSignal): Promise<Challenge | undefined> {
  // A stream that opens asks for nothing, and would not end.
  const heard = await send(fetch, server, { headers: { accept: 'text/event-stream' } }, signal).catch(() => undefined);
  return heard?.challenge;
}

async function send(fetch: GuardedFetch, server: URL, init: RequestInit, signal?: AbortSignal): Promise<Heard> {
  const deadline = AbortSignal.timeout(10_000);
  try {
    const both = signal ? AbortSignal.any([signal, deadline]) : deadline;
    const response = await fetch(server.href, { ...init, redirect: 'manual', signal: both });
    await response.body?.cancel();
    const challenges =
      response.status === 401 ? parseChallenges(response.headers.get('www-authenticate') ?? undefined) : [];
    return {
      status: response.status,
      challenge: oauthChallenge(challenges) ?? (response.status === 401 ? BARE : undefined),
      session: response.headers.get('mcp-session-id') ?? undefined,
    };
  } catch (error) {
    signal?.throwIfAborted();
    if (fateOf(error) === 'timeout')
      throw new CountersignError('TIMEOUT', `${server.host} did not answer within 10 seconds.`, { cause: error });
    throw new CountersignError('UNREACHABLE', `${server.host} could not be reached.`, { cause: error });
  }
}

const BARE: Challenge = { scheme: 'bearer', parameters: {} };

/** The challenge that OAuth answers: the first of Bearer or DPoP, one that names metadata before one that doesn't. */
export function oauthChallenge(challenges: readonly Challenge[]): Challenge | undefined {
  const ours = challenges.filter(({ scheme }) => scheme === 'bearer' || scheme === 'dpop');
  return ours.find(({ parameters }) => parameters['resource_metadata'] !== undefined) ?? ours[0];
}
