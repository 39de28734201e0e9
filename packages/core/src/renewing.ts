import type { Clock } from './clock.js';
import { abortable } from './abortable.js';

/** A credential that ends. */
export interface Expiring {
  /** Milliseconds since the epoch, by the local clock; `undefined` for one that does not end. */
  readonly expiresAt: number | undefined;
}

/** A credential that is renewed ahead of its end, by one renewal for all who wait. */
export interface Renewing<T extends Expiring> {
  /** The last credential, expired or not. */
  readonly current: T | undefined;
  /** When `current` was obtained, by the local clock. */
  readonly obtainedAt: number | undefined;
  /** A credential that has not expired. The abort of one waiter ends its wait, not the renewal. */
  get(signal?: AbortSignal): Promise<T>;
  /** Forgets `current`; given a credential, only if that is still the current one. */
  drop(refused?: T): void;
}

const AHEAD = 4 * 60_000; // Google's metadata server hands out the old token until four minutes before its end
const LATE = 30_000;

/**
 * Keeps what `renew` answers until it is about to expire. In its last four minutes (or quarter of its life) it is still
 * given out while a new one is fetched; in its last 30 seconds (or tenth of its life), or expired, the caller waits.
 */
export function renewing<T extends Expiring>(renew: () => Promise<T>, clock: Clock): Renewing<T> {
  let current: T | undefined;
  let obtainedAt: number | undefined;
  let pending: Promise<T> | undefined;
  let generation = 0;

  function start(): Promise<T> {
    const mine = ++generation;
    const run = renew().then(
      (fresh) => {
        if (mine === generation) {
          current = fresh;
          obtainedAt = clock.now();
          pending = undefined;
        }
        return fresh;
      },
      (error: unknown) => {
        if (mine === generation) pending = undefined;
        throw error;
      },
    );
    run.catch(() => undefined);
    return (pending = run);
  }

  /** How much is left: `fresh`, `ageing` (renew in the background) or `late` (wait). */
  function age(): 'fresh' | 'ageing' | 'late' {
    if (!current || obtainedAt === undefined) return 'late';
    if (current.expiresAt === undefined) return 'fresh';
    const now = clock.now();
    if (now < obtainedAt) return 'late'; // the clock was set back: nothing is known of the end
    const life = current.expiresAt - obtainedAt;
    const left = current.expiresAt - now;
    if (left <= Math.min(LATE, life / 10)) return 'late';
    return left <= Math.min(AHEAD, life / 4) ? 'ageing' : 'fresh';
  }

  return {
    get current() {
      return current;
    },
    get obtainedAt() {
      return obtainedAt;
    },
    async get(signal) {
      signal?.throwIfAborted();
      const state = age();
      if (state === 'fresh') return current as T;
      const renewal = pending ?? start();
      return state === 'ageing' ? (current as T) : abortable(renewal, signal);
    },
    drop(refused) {
      if (refused && refused !== current) return;
      current = undefined;
      obtainedAt = undefined;
      // Told to forget everything: what a renewal under way brings is forgotten too.
      if (!refused) {
        generation++;
        pending = undefined;
      }
    },
  };
}
