import { findCountersignError } from '@countersign/core';
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

/** What the bridge says to `initialize` while nobody is signed in: it is a server without tools yet, and here is how to get them. */
export function signedOutInitialize(body: Buffer, id: string, name: string, login: string): Buffer {
  const version = paramsOf(body)?.['protocolVersion'];
  return resultAnswer(id, {
    protocolVersion: typeof version === 'string' ? version : '2025-11-25',
    capabilities: { tools: { listChanged: true }, resources: { listChanged: true }, prompts: { listChanged: true } },
    serverInfo: { name, version: '0.0.0' },
    instructions: `Nobody is signed in to ${name} yet. Ask the user to run \`${login}\` in a terminal; the tools of ${name} appear by themselves as soon as that is done.`,
  });
}

/** The answer to any other request while nobody is signed in: empty lists, and for the rest the error with the command. */
export function signedOutAnswer({ id, method }: Envelope, error: unknown, login: string): Buffer {
  const empty = Object.hasOwn(EMPTY, method!) ? EMPTY[method!] : undefined;
  return empty ? resultAnswer(id!, empty) : errorAnswer(id!, loginError(error, login));
}

function loginError(error: unknown, login: string): { code: number; message: string; data?: unknown } {
  const message = findCountersignError(error)?.message ?? 'Nobody is signed in.';
  return {
    ...describe(error),
    message: message.includes(login) ? message : `${message} Run \`${login}\` in a terminal.`,
  };
}

/** The notifications that make a client ask anew, for what the server has. */
export function listChanges(capabilities: unknown): Buffer[] {
  const has = (capabilities ?? {}) as Record<string, unknown>;
  return ['tools', 'resources', 'prompts']
    .filter((name) => has[name] !== undefined)
    .map((name) => Buffer.from(`{"jsonrpc":"2.0","method":"notifications/${name}/list_changed"}`));
}
