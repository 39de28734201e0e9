import { randomUUID } from 'node:crypto';
import type { SecretStore } from '@countersign/core';
import { within, type TestFunction } from './expectations.js';
import { STORE_BEHAVIOURS, type StoreBehaviour } from './store-behaviours.js';
import { freesLock, keepsOldValue, losesNothing, writesNothingLate } from './store-faults.js';

/** A store under test, and what is needed to put it to the test. */
export interface SecretStoreSubject {
  /** Opens the store. Called twice within a test, as two processes would; both see the same secrets. Keys of the kit begin with "kit.". */
  readonly create: () => SecretStore | Promise<SecretStore>;
  /** Called with each store that a test opened, at its end: by default the store's own `dispose`. */
  readonly close?: (store: SecretStore) => void | Promise<void>;
  /** Makes a store's writes fail (a full disk, a lost connection) until called with false. With it, the kit tests that the old value stays. */
  readonly failWrites?: (failing: boolean) => void | Promise<void>;
  /** Takes the lock of a key away from its holder, as another process does that waited too long. With it, the kit tests that nothing is written late. */
  readonly loseLock?: (key: string) => void | Promise<void>;
  /** A JavaScript module whose default export is `create`. With it, the kit runs three processes on one key, and kills a holder. */
  readonly processes?: URL;
  /** Environment for those processes, besides this one's. */
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds until the lock of a killed process is free: 5000. */
  readonly stale?: number;
}

/**
 * Tests that a SecretStore does what providers rely on. Registers one test a behaviour with the caller's `test`
 * (node:test, Jest, Vitest); a failing one says what to mend.
 */
export function testSecretStore(test: TestFunction, subject: SecretStoreSubject): void {
  const register = (name: string, behaviour: StoreBehaviour, timeout = 15_000): void => {
    test(name, () => withStores(subject, behaviour), timeout);
  };
  for (const [name, behaviour] of Object.entries(STORE_BEHAVIOURS)) register(name, behaviour);
  const { failWrites, loseLock, processes, env = {}, stale = 5000 } = subject;
  if (failWrites) register('keeps the old value when a write fails', keepsOldValue(failWrites));
  if (loseLock) register('writes nothing after its lock was lost', writesNothingLate(loseLock));
  if (!processes) return;
  register('loses no update of three processes', losesNothing(processes, env), 60_000);
  register('frees the lock of a process that was killed', freesLock(processes, env, stale), 30_000 + stale * 2);
}

async function withStores({ create, close }: SecretStoreSubject, behaviour: StoreBehaviour): Promise<void> {
  const opened: SecretStore[] = [];
  const key = `kit.${randomUUID()}`;
  const open = async (): Promise<SecretStore> => {
    const store = await create();
    opened.push(store);
    return store;
  };
  try {
    await behaviour(open, key);
  } finally {
    if (opened[0]) await within(clear(opened[0], key), 'clearing').catch(() => undefined); // A store that can't is told so by a test of its own.
    for (const store of new Set(opened)) await (close ? close(store) : store.dispose?.());
  }
}

async function clear(store: SecretStore, prefix: string): Promise<void> {
  for await (const key of store.keys(prefix)) await store.delete(key);
}
