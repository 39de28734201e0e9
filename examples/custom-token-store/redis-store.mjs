import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { CountersignError, defineSecretStore, isCountersignError } from '@countersign/core';
import { Redis } from 'ioredis';

const HEARTBEAT = 1000; // milliseconds
const STALE = 5000;
const WAIT = 55_000;

// Each is one step for Redis, so that nothing is written after the lock has gone to another: that is the fence.
const RENEW = `return redis.call('get', KEYS[1]) == ARGV[1] and redis.call('pexpire', KEYS[1], ARGV[2])`;
const RELEASE = `return redis.call('get', KEYS[1]) == ARGV[1] and redis.call('del', KEYS[1])`;
const WRITE = `if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
  if ARGV[2] == 'set' then redis.call('set', KEYS[2], ARGV[3]) else redis.call('del', KEYS[2]) end
  return 1`;

/**
 * A secret store in Redis: a key for each secret, and one for its lock.
 * @param {string} url redis://… or rediss://…
 * @returns {import('@countersign/core').SecretStore}
 */
export function redisStore(url) {
  const redis = new Redis(url, { maxRetriesPerRequest: 2, lazyConnect: true });
  redis.on('error', () => undefined); // Each command tells its own.
  const valueKey = (key) => `countersign:secret:${key}`;
  const lockKey = (key) => `countersign:lock:${key}`;

  async function lock(key, signal) {
    const token = randomUUID();
    for (const end = Date.now() + WAIT; Date.now() < end;) {
      signal?.throwIfAborted();
      if (await told(redis.set(lockKey(key), token, 'PX', STALE, 'NX'))) return token;
      await delay(10 + Math.random() * 40, undefined, { signal }).catch(() => undefined);
    }
    throw new CountersignError('TIMEOUT', `Another process held the stored secret ${key} for ${WAIT / 1000} s.`);
  }

  async function locked(key, signal, work) {
    const token = await lock(key, signal);
    const heartbeat = setInterval(
      () => redis.eval(RENEW, 1, lockKey(key), token, STALE).catch(() => undefined),
      HEARTBEAT,
    );
    try {
      return await work(async (value) => {
        const done = await told(
          redis.eval(WRITE, 2, lockKey(key), valueKey(key), token, value === undefined ? 'delete' : 'set', value ?? ''),
        );
        if (!done)
          throw new CountersignError('LOCK_LOST', `Another process took over the lock of the stored secret ${key}.`);
      });
    } finally {
      clearInterval(heartbeat);
      await redis.eval(RELEASE, 1, lockKey(key), token).catch(() => undefined); // It expires by itself.
    }
  }

  return {
    description: 'redis',
    get: async (key) => (await told(redis.get(valueKey(key)))) ?? undefined,
    update: (key, change, signal) =>
      locked(key, signal, async (write) => {
        const current = (await told(redis.get(valueKey(key)))) ?? undefined;
        const next = await change(current);
        if (next !== current) await write(next);
        return next;
      }),
    delete: (key) => locked(key, undefined, (write) => write(undefined)),
    async *keys(prefix) {
      const seen = new Set(); // SCAN may answer a key twice.
      for await (const batch of redis.scanStream({ match: `${valueKey(prefix)}*`, count: 200 })) {
        for (const name of batch) seen.add(name.slice(valueKey('').length));
      }
      yield* seen;
    },
    dispose: () => redis.disconnect(),
  };
}

/** Redis's refusal as ours. Not as its `cause`: an error of ioredis holds the command, and with it the secret. */
async function told(command) {
  try {
    return await command;
  } catch (error) {
    if (isCountersignError(error)) throw error;
    throw new CountersignError('STORE_FAILED', `Redis did not do it: ${error.message}`, {
      remedy: 'Look at the Redis server that REDIS_URL names.',
    });
  }
}

/** The plugin: `"plugins": ["…"]` in the configuration puts it in place of the file store. */
export default defineSecretStore('countersign-store-redis', () =>
  redisStore(process.env.REDIS_URL ?? 'redis://127.0.0.1:6379'),
);
