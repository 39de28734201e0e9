import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';

/** `test` of node:test, Jest or Vitest. The third argument is the deadline in milliseconds; node:test, which has none of its own, passes it over. */
export type TestFunction = (name: string, body: () => Promise<void>, timeout?: number) => unknown;

/** Milliseconds that a behaviour has, where nothing else is said. */
export const DEADLINE = 4000;

/** Fails the running test; the message tells the author what to mend. */
export function expect(condition: unknown, message: string): asserts condition {
  assert.ok(condition, message);
}

/** The promise's value, or a failure with the message when it is not there in time. */
export async function within<T>(promise: Promise<T>, message: string, milliseconds = DEADLINE): Promise<T> {
  const stop = new AbortController();
  try {
    return await Promise.race([
      promise,
      delay(milliseconds, undefined, { signal: stop.signal }).then(() =>
        assert.fail(`${message} (waited ${milliseconds / 1000} s)`),
      ),
    ]);
  } finally {
    stop.abort();
    promise.catch(() => undefined);
  }
}

/** What a promise rejects with, or undefined. */
export async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error ?? new Error(String(error)),
  );
}

/** An error in words for a message: its code and sentence. */
export function told(error: unknown): string {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  return [code, message ?? error].filter(Boolean).map(String).join(': ');
}
