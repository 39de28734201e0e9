import { setTimeout as delay } from 'node:timers/promises';

/** Time, as an argument: a test passes its own. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Resolves after `ms` milliseconds, rejects when the signal aborts. Does not keep the process alive when `ref` is false. */
  sleep(ms: number, signal?: AbortSignal, options?: { ref?: boolean }): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal, options) => delay(ms, undefined, { ...(signal ? { signal } : {}), ref: options?.ref ?? true }),
};
