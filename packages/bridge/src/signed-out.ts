import { CountersignError, ERROR_CODES, findCountersignError, isCountersignError } from '@countersign/core';
import { describe, errorAnswer, resultAnswer } from './answers.js';
import type { Envelope } from './envelope.js';
import { paramsOf } from './upstream.js';

const EMPTY: Readonly<Record<string, unknown>> = {
  ping: {},
  'logging/setLevel': {},
  'tools/list': { tools: [] },
  'resources/list': { resources: [] },
  'resources/templates/list': { resourceTemplates: [] },
  'prompts/list': { prompts: [] },
};

/** The errors that a person mends by signing in somewhere. */
export function isSignedOut(error: unknown): boolean {
  return isCountersignError(error, 'LOGIN_REQUIRED', 'CREDENTIAL_UNAVAILABLE');
}

/** The error with the command that signs in, where it names none but ours: it doesn't know how this server is called. A vendor's own stays. */
export function withLogin(error: unknown, login: string): unknown {
  const known = findCountersignError(error);
  if (known?.code !== 'LOGIN_REQUIRED') return error;
  const { message, remedy, server } = known;
  if (remedy !== ERROR_CODES.LOGIN_REQUIRED.remedy && !remedy.includes('countersign login')) return error;
  return new CountersignError('LOGIN_REQUIRED', message, {
    cause: error,
    remedy: `Run \`${login}\` in a terminal.`,
    ...(server === undefined ? {} : { server }),
  });
}

/** What the bridge says to `initialize` while nobody is signed in: it is a server without tools yet, and here is how to get them. */
export function signedOutInitialize(body: Buffer, id: string, name: string, error: unknown): Buffer {
  const remedy = findCountersignError(error)?.remedy ?? '';
  const version = paramsOf(body)?.['protocolVersion'];
  return resultAnswer(id, {
    protocolVersion: typeof version === 'string' ? version : '2025-11-25',
    capabilities: { tools: { listChanged: true }, resources: { listChanged: true }, prompts: { listChanged: true } },
    serverInfo: { name, version: '0.0.0' },
    instructions: `Nobody is signed in to ${name} yet. Tell the user: ${remedy} The tools of ${name} appear by themselves as soon as that is done.`,
  });
}

/** The answer to any other request while nobody is signed in: empty lists, and for the rest the error with the command. */
export function signedOutAnswer({ id, method }: Envelope, error: unknown): Buffer {
  const empty = Object.hasOwn(EMPTY, method!) ? EMPTY[method!] : undefined;
  return empty ? resultAnswer(id!, empty) : errorAnswer(id!, describe(error));
}

/** The notifications that make a client ask anew, for what the server has. */
export function listChanges(capabilities: unknown): Buffer[] {
  const has = (capabilities ?? {}) as Record<string, unknown>;
  return ['tools', 'resources', 'prompts']
    .filter((name) => has[name] !== undefined)
    .map((name) => Buffer.from(`{"jsonrpc":"2.0","method":"notifications/${name}/list_changed"}`));
}
