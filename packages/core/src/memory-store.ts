import type { SecretStore } from './secret-store.js';

/** A store that lives as long as the process. */
export function memoryStore(): SecretStore {
  const values = new Map<string, string>();
  const locks = new Map<string, Promise<unknown>>();

  function exclusive<T>(key: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const before = locks.get(key) ?? Promise.resolve();
    const run = before.then(() => {
      signal?.throwIfAborted();
      return work();
    });
    const settled = run
      .catch(() => undefined)
      .then(() => {
        if (locks.get(key) === settled) locks.delete(key);
      });
    locks.set(key, settled);
    return run;
  }

  return {
    description: 'memory',
    get: async (key) => values.get(key),
    update: (key, change, signal) =>
      exclusive(
        key,
        async () => {
          const next = await change(values.get(key));
          if (next === undefined) values.delete(key);
          else values.set(key, next);
          return next;
        },
        signal,
      ),
    delete: (key) => exclusive(key, async () => void values.delete(key)),
    async *keys(prefix) {
      for (const key of [...values.keys()]) if (key.startsWith(prefix)) yield key;
    },
  };
}
