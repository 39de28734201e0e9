import {
  abortable,
  CountersignError,
  isCountersignError,
  renewing,
  type AuthServices,
  type Expiring,
  type ProviderStatus,
} from '@countersign/core';
import { expectedSource, findCredentials, type Found } from './credential-chain.js';
import type { SigV4Options } from './options.js';
import { fingerprint } from './shared-config.js';
import type { AwsCredentials } from './sign.js';

type Services = Pick<AuthServices, 'env' | 'fetch' | 'clock' | 'server' | 'conceal' | 'log'>;

interface Held extends Expiring, Found {
  /** The state of the files when they were read. */
  readonly print: string;
}

interface Failure {
  readonly error: unknown;
  readonly count: number;
  /** No new try before, unless a file changes. */
  readonly until: number;
}

/** Credentials that stay fresh: one search for all that wait, renewed ahead of their end, read again when a file is edited. */
export interface FreshCredentials {
  get(signal?: AbortSignal): Promise<AwsCredentials>;
  /** The server refused `used`. Searches anew if `force`, or if a file was edited; answers whether there are others now. */
  replace(used: AwsCredentials, force: boolean, signal: AbortSignal): Promise<boolean>;
  /** Forgets what is held. */
  drop(): void;
  status(): ProviderStatus;
}

const LOOK_MS = 1_000;
const SEARCH_MS = 50_000;
const MAX_HOLD_MS = 60_000;

export function freshCredentials(
  options: SigV4Options,
  services: Services,
  region: () => Promise<string>,
  offset: () => number,
): FreshCredentials {
  const { clock, log } = services;
  let last: Held | undefined;
  let failure: Failure | undefined;
  let looked = 0;

  const source = renewing<Held>(async () => {
    if (failure && clock.now() < failure.until) throw failure.error;
    const before = last ? fingerprint(last.files) : '';
    try {
      const found = await bounded(findCredentials(options, services, await region()));
      const { secretAccessKey, sessionToken, expiration } = found.credentials;
      services.conceal(secretAccessKey);
      if (sessionToken) services.conceal(sessionToken);
      failure = undefined;
      // A first search learns which files there are; one edited while it ran is read again.
      const print = last && String(last.files) === String(found.files) ? before : fingerprint(found.files);
      log.debug(
        `${services.server.name}: AWS credentials by ${found.source}${expiration ? `, until ${expiration.toISOString()}` : ''}`,
      );
      return (last = { ...found, print, expiresAt: expiration && expiration.getTime() - offset() });
    } catch (error) {
      const count = (failure?.count ?? 0) + 1;
      // A sign-in may end at any moment, and costs nothing to look for.
      const hold =
        count < 2 || isCountersignError(error, 'LOGIN_REQUIRED') ? 0 : Math.min(MAX_HOLD_MS, 1000 * 2 ** (count - 2));
      failure = { error, count, until: clock.now() + hold };
      log.debug(`${services.server.name}: AWS credentials failed: ${(error as Error).message}`);
      throw error;
    }
  }, clock);

  const edited = (held: Held): boolean => held.files.length > 0 && fingerprint(held.files) !== held.print;
  const usable = (held: Held | undefined): held is Held =>
    held !== undefined && (held.expiresAt === undefined || held.expiresAt > clock.now());

  return {
    async get(signal) {
      const held = source.current;
      if (held && clock.now() - looked >= LOOK_MS) {
        looked = clock.now();
        if (edited(held)) {
          if (failure) failure = { ...failure, until: 0 };
          source.drop(held);
        }
      }
      try {
        return (await source.get(signal)).credentials;
      } catch (error) {
        // A file half written, an endpoint down: what was good still is, and status() tells of the failure.
        if (!signal?.aborted && usable(last)) return last.credentials;
        throw error;
      }
    },
    async replace(used, force, signal) {
      const held = source.current;
      if (held && held.credentials !== used && differs(held.credentials, used)) return true;
      if (held && !force && !edited(held)) return false;
      if (failure) failure = { ...failure, until: 0 };
      if (held) source.drop(held);
      if (force) last = undefined;
      return differs((await abortable(source.get(), signal)).credentials, used);
    },
    drop() {
      last = undefined;
      failure = undefined;
      source.drop();
    },
    status() {
      const held = source.current ?? (usable(last) ? last : undefined);
      const reason = failure && told(failure.error);
      if (!held) {
        const state = !failure
          ? 'unused'
          : isCountersignError(failure.error, 'LOGIN_REQUIRED')
            ? 'login_required'
            : 'failed';
        return { state, source: expectedSource(options, services.env), ...(reason ? { reason } : {}) };
      }
      const { accessKeyId, expiration } = held.credentials;
      return {
        state: 'ready',
        source: held.source,
        principal: `access key ${accessKeyId}`,
        ...(expiration ? { expiresAt: expiration } : {}),
        refreshable: held.files.length > 0 || expiration !== undefined,
        ...(reason ? { reason: `The last renewal failed: ${reason}` } : {}),
      };
    },
  };
}

const differs = (a: AwsCredentials, b: AwsCredentials): boolean =>
  a.accessKeyId !== b.accessKeyId || a.secretAccessKey !== b.secretAccessKey || a.sessionToken !== b.sessionToken;

const told = (error: unknown): string => {
  const { message, remedy } = error as { message: string; remedy?: string };
  return remedy ? `${message} ${remedy}` : message;
};

/** Bounds a search as a whole: several requests, or a program. */
function bounded<T>(search: Promise<T>): Promise<T> {
  const stop = new AbortController();
  const timer = setTimeout(
    () => stop.abort(new CountersignError('TIMEOUT', `No AWS credentials came within ${SEARCH_MS / 1000} seconds.`)),
    SEARCH_MS,
  );
  return abortable(search, stop.signal).finally(() => clearTimeout(timer));
}
