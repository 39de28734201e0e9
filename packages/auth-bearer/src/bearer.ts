import { readFile, stat } from 'node:fs/promises';
import {
  CountersignError,
  isCountersignError,
  type AuthProvider,
  type AuthServices,
  type OutgoingRequest,
} from '@countersign/core';
import type { BearerOptions } from './options.js';

/** `Authorization: Bearer …` (RFC 6750 2.1), with the token of a template or of a file. */
export function bearerProvider({ token, tokenFile }: BearerOptions, services: AuthServices): AuthProvider {
  const source = tokenFile === undefined ? fromTemplate(token ?? '', services) : fromFile(tokenFile, services);
  return {
    async authorize(request, signal) {
      const value = await source.read(request, signal);
      try {
        request.headers.set('authorization', `Bearer ${value}`);
      } catch (error) {
        if (!isCountersignError(error, 'INVALID_HEADER')) throw error;
        throw new CountersignError(
          'INVALID_HEADER',
          `The token of server ${services.server.name} (${source.description}) holds a character that a header can't carry.`,
        );
      }
    },
    ...(source.challenge ? { challenge: source.challenge } : {}),
    status: () => ({ state: 'ready', source: source.description }),
  };
}

interface TokenSource {
  readonly description: string;
  read(request: OutgoingRequest, signal?: AbortSignal): Promise<string>;
  challenge?: NonNullable<AuthProvider['challenge']>;
}

function fromTemplate(text: string, services: AuthServices): TokenSource {
  const bound = services.template(text);
  const names = bound.template.references.map(({ name }) => name);
  return {
    description: names.length > 0 ? `variable ${names.join(', ')}` : 'written in the configuration',
    async read(request, signal) {
      const value = (await bound.render('Header Authorization', request, signal))?.trim();
      if (!value)
        throw new CountersignError(
          'UNRESOLVED_VARIABLE',
          `Authentication headers missing: header Authorization of server ${services.server.name} needs ${names.join(', ') || 'a token'}, which is empty.`,
        );
      services.conceal(value);
      return value;
    },
  };
}

/** Kubernetes and secret managers replace such a file while we run: a look at its time and size decides whether it is read. */
function fromFile(file: string, services: AuthServices): TokenSource {
  const path = services.path(file);
  let cached: { key: string; token: string } | undefined;

  async function read(): Promise<string> {
    try {
      const { mtimeMs, size, ino } = await stat(path);
      const key = `${mtimeMs} ${size} ${ino}`;
      if (cached?.key === key) return cached.token;
      const token = (await readFile(path, 'utf8')).replace(/^\ufeff/, '').trim();
      if (token) services.conceal(token);
      cached = { key, token };
    } catch (error) {
      throw new CountersignError(
        'CREDENTIAL_UNAVAILABLE',
        `The token file ${file} of server ${services.server.name} can't be read (${(error as { code?: string }).code ?? 'unreadable'}).`,
        { cause: error },
      );
    }
    if (!cached.token)
      throw new CountersignError(
        'CREDENTIAL_UNAVAILABLE',
        `The token file ${file} of server ${services.server.name} is empty.`,
      );
    return cached.token;
  }

  return {
    description: `file ${file}`,
    read,
    async challenge({ request, response }) {
      if (response.status !== 401) return false;
      cached = undefined;
      return request.headers.get('authorization') !== `Bearer ${await read()}`;
    },
  };
}
