import type { SecretStore } from './secret-store.js';
import { turns } from './turns.js';

const WAIT_MS = 55_000;

/** A store that lives as long as the process. `update` throws TIMEOUT after 55 s of waiting for another. */
export function memoryStore(): SecretStore {
  const values = new Map<string, string>();
  const turn = turns(WAIT_MS);
  return {
    description: 'memory',
    get: async (key) => values.get(key),
    update: (key, change, signal) =>
      turn(key, signal, async () => {
        const next = await change(values.get(key));
        if (next === undefined) values.delete(key);
        else values.set(key, next);
        return next;
      }),
    delete: (key) => turn(key, undefined, async () => void values.delete(key)),
    async *keys(prefix) {
      for (const key of [...values.keys()]) if (key.startsWith(prefix)) yield key;
    },
  };
}
