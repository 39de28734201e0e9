import { isCountersignError } from '@countersign/core';
import { expect, failureOf, told, within } from './expectations.js';
import type { StoreBehaviour } from './store-behaviours.js';
import { inProcesses, killHolder } from './store-processes.js';

/** With writes that fail. */
export const keepsOldValue =
  (failWrites: (failing: boolean) => void | Promise<void>): StoreBehaviour =>
  async (open, key) => {
    const [store, other] = [await open(), await open()];
    await store.update(key, async () => 'old');
    await failWrites(true);
    try {
      const failure = await within(
        failureOf(store.update(key, async () => 'new')),
        'An update hung when its write failed',
      );
      expect(
        isCountersignError(failure, 'STORE_FAILED'),
        `An update whose write failed ended with ${told(failure) || 'success'}: reject with STORE_FAILED, so that a sign-in that is not durable is not called done.`,
      );
    } finally {
      await failWrites(false);
    }
    const value = await other.get(key);
    expect(
      value === 'old',
      `The value is ${JSON.stringify(value)} after a write that failed: write beside it and swap, so that the old one stays.`,
    );
    await within(
      store.update(key, async () => 'again'),
      'An update hung after an earlier write failed: free the lock in a finally',
    );
  };

/** With a lock that is lost. */
export const writesNothingLate =
  (loseLock: (key: string) => void | Promise<void>): StoreBehaviour =>
  async (open, key) => {
    const [store, other] = [await open(), await open()];
    await store.update(key, async () => 'old');
    const late = store.update(key, async () => {
      await loseLock(key);
      await other.update(key, async () => 'theirs');
      return 'late';
    });
    const failure = await within(failureOf(late), 'An update that lost its lock did not end', 10_000);
    const value = await other.get(key);
    expect(
      value === 'theirs',
      `An update wrote ${JSON.stringify(value)} over what the next holder had written: make the write conditional on the lock (a fencing token).`,
    );
    expect(
      isCountersignError(failure, 'LOCK_LOST'),
      `An update that lost its lock ended with ${told(failure) || 'success'}: reject with LOCK_LOST, so that the caller reads again.`,
    );
  };

/** With three processes. */
export const losesNothing =
  (processes: URL, env: Readonly<Record<string, string>>): StoreBehaviour =>
  async (open, key) => {
    const store = await open();
    await inProcesses({ module: processes, env, key, count: 3, updates: 50 });
    const value = await store.get(key);
    expect(
      value === '150',
      `Three processes added one fifty times each, and the value is ${JSON.stringify(value)}, not 150: hold the lock across processes from the reading to the writing.`,
    );
  };

/** With a process that was killed. */
export const freesLock =
  (processes: URL, env: Readonly<Record<string, string>>, stale: number): StoreBehaviour =>
  async (open, key) => {
    const store = await open();
    await store.update(key, async () => 'old');
    await killHolder({ module: processes, env, key });
    const value = await within(
      store.update(key, async (current) => `${current} and new`),
      'The lock of a killed process was never freed: let a lock expire that its holder no longer renews',
      stale * 2 + 3000,
    );
    expect(
      value === 'old and new',
      `The value was ${JSON.stringify(value)} after its writer was killed before it wrote: leave the old one.`,
    );
  };
