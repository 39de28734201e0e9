import { afterAll, describe, expect, test } from '@jest/globals';
import { fileStore, memoryStore, type SecretStore } from '@countersign/core';
import { buildSync } from 'esbuild';
import * as files from 'node:fs/promises';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { testSecretStore } from '../src/index.js';
import { failuresOf } from './collect-tests.js';

const folders: string[] = [];
function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'kit-'));
  folders.push(path);
  return path;
}
afterAll(() => folders.forEach((path) => rmSync(path, { recursive: true, force: true })));

describe("core's memory store", () => {
  const store = memoryStore();
  testSecretStore(test, { create: () => store, close: () => undefined });
});

describe("core's file store", () => {
  const directory = folder();
  const lock = { heartbeat: 100, stale: 500, wait: 20_000 };
  let full = false;
  const fs: typeof files = {
    ...files,
    async rename(from, to) {
      if (full) throw Object.assign(new Error('ENOSPC: no space left on device, rename'), { code: 'ENOSPC' });
      return files.rename(from, to);
    },
  };
  // The processes run what is published: JavaScript.
  const core = join(
    dirname(createRequire(import.meta.url).resolve('@countersign/core/package.json')),
    'src/file-store.ts',
  );
  const bundle = join(directory, 'bundle', 'store.mjs');
  buildSync({ entryPoints: [core], bundle: true, format: 'esm', platform: 'node', outfile: bundle });
  const module = join(directory, 'bundle', 'create.mjs');
  writeFileSync(
    module,
    `import { fileStore } from './store.mjs'; export default () => fileStore(${JSON.stringify({ directory: join(directory, 'store'), lock })});`,
  );

  testSecretStore(test, {
    create: () => fileStore({ directory: join(directory, 'store'), lock, fs }),
    failWrites: (failing) => void (full = failing),
    async loseLock(key) {
      const path = join(directory, 'store', `${key}.lock`);
      for (const holder of await files.readdir(path))
        await files.rename(join(path, holder), join(path, '0'.repeat(16)));
    },
    processes: pathToFileURL(module),
    stale: lock.stale,
  });
});

/** A memory store whose instances share their values, to be broken in one way. */
function sharedStore() {
  const store = memoryStore();
  return (broken: Partial<SecretStore>) => () => ({ ...store, ...broken });
}

const values = new Map<string, string>();
const unlocked: SecretStore = {
  get: async (key) => values.get(key),
  async update(key, change) {
    const next = await change(values.get(key));
    if (next === undefined) values.delete(key);
    else values.set(key, next);
    return next;
  },
  delete: async (key) => void values.delete(key),
  async *keys(prefix) {
    for (const key of [...values.keys()]) if (key.startsWith(prefix)) yield key;
  },
};

/** One queue for everything, and nothing that ends a wait. */
function oneLock(free: 'always' | 'on success' = 'always'): () => SecretStore {
  let last: Promise<unknown> = Promise.resolve();
  return () => ({
    ...unlocked,
    update(key, change) {
      const run = last.then(() => unlocked.update(key, change));
      last = free === 'always' ? run.catch(() => undefined) : run.catch(() => new Promise(() => undefined));
      return run;
    },
  });
}

const cached = (): (() => SecretStore) => {
  const store = memoryStore();
  return () => {
    const seen = new Map<string, string | undefined>();
    return {
      ...store,
      async get(key) {
        if (!seen.has(key)) seen.set(key, await store.get(key));
        return seen.get(key);
      },
      update: (key, change, signal) =>
        store.update(key, async (current) => (seen.delete(key), change(current)), signal),
    };
  };
};

const broken: [what: string, create: () => SecretStore, test: string, message: RegExp][] = [
  [
    'answers null for nothing',
    sharedStore()({ get: async () => null as unknown as undefined }),
    'answers undefined for a key that it does not have',
    /answer undefined \(not null/,
  ],
  [
    'resolves update to nothing',
    sharedStoreWith((store) => ({ update: async (...args) => void (await store.update(...args)) })),
    'keeps what an update answers',
    /resolve to what `change` answered/,
  ],
  [
    'sees only its own writes',
    () => memoryStore(),
    'keeps what an update answers',
    /get must look for what others wrote/,
  ],
  ['caches what it read', cached(), 'sees what another store wrote after it read', /don't answer from a cache/],
  [
    'keeps what was deleted',
    sharedStore()({ delete: async () => undefined }),
    'deletes by delete, and by an update to undefined',
    /still has a value after delete/,
  ],
  [
    'takes "" for nothing',
    sharedStoreWith((store) => ({ get: async (key) => (await store.get(key)) || undefined })),
    'keeps any text as it is',
    /opaque text, the empty one too/,
  ],
  [
    'trims',
    sharedStoreWith((store) => ({ get: async (key) => (await store.get(key))?.trim() })),
    'keeps any text as it is',
    /opaque text/,
  ],
  [
    'mixes keys up',
    sharedStoreWith((store) => ({
      get: (key) => store.get(key.replaceAll('_', '-')),
      update: (key, ...rest) => store.update(key.replaceAll('_', '-'), ...rest),
    })),
    'takes every key that the contract allows, and mixes none up',
    /each has a value of its own/,
  ],
  [
    'takes "_" for a wildcard',
    sharedStoreWith((store) => ({
      async *keys(prefix) {
        for await (const key of store.keys('')) if (new RegExp(`^${prefix.replaceAll('_', '.')}`).test(key)) yield key;
      },
    })),
    'lists the keys with a prefix, literally',
    /no wildcards/,
  ],
  ['locks nothing', () => unlocked, 'runs one update of a key at a time', /from the reading to the writing/],
  [
    'locks everything at once',
    oneLock(),
    'lets updates of different keys run side by side',
    /the key's, not the store's/,
  ],
  [
    'locks in get',
    sharedStoreWith((store) => ({
      async get(key) {
        let value: string | undefined;
        await store.update(key, async (current) => (value = current));
        return value;
      },
    })),
    'answers get while an update is under way, with the old value',
    /only updates take the lock/,
  ],
  [
    'keeps the lock of a change that threw',
    oneLock('on success'),
    'frees the lock and keeps the value when the change throws',
    /free the lock in a finally/,
  ],
  [
    'wraps the error of a change',
    sharedStoreWith((store) => ({
      update: (...args) => store.update(...args).catch(() => Promise.reject(new Error('failed'))),
    })),
    'frees the lock and keeps the value when the change throws',
    /pass the error of `change` on/,
  ],
  [
    'does not hear the signal',
    sharedStoreWith((store) => ({ update: (key, change) => store.update(key, change) })),
    'lets a waiting update be aborted',
    /did not end when its signal aborted/,
  ],
  [
    'deletes without the lock',
    () => unlocked,
    'lets delete wait for an update under way, and win',
    /a logout is undone by a refresh/,
  ],
];

function sharedStoreWith(change: (store: SecretStore) => Partial<SecretStore>): () => SecretStore {
  const store = memoryStore();
  return () => ({ ...store, ...change(store) });
}

describe('tells the author what to mend of a store that', () => {
  test.each(broken)(
    '%s',
    async (_what, create, name, message) => {
      const failures = await failuresOf((register) =>
        testSecretStore((title, body) => title === name && register(title, body), { create }),
      );
      expect(failures[name]).toMatch(message);
    },
    20_000,
  );

  test('calls done what it could not write', async () => {
    const store = memoryStore();
    const failures = await failuresOf((register) =>
      testSecretStore(register, { create: () => store, failWrites: () => undefined }),
    );
    expect(failures).toEqual({
      'keeps the old value when a write fails': expect.stringContaining('reject with STORE_FAILED') as unknown,
    });
  });

  test('writes after its lock was lost', async () => {
    let late = false;
    const failures = await failuresOf((register) =>
      testSecretStore((name, body) => /lock was lost/.test(name) && register(name, body), {
        create: () => ({ ...unlocked, update: (key, change) => unlocked.update(key, change) }),
        loseLock: () => void (late = true),
      }),
    );
    expect(late).toBe(true);
    expect(Object.values(failures)).toEqual([expect.stringContaining('fencing token')]);
  });

  test.each([
    ['loses updates among processes', 'three processes', 'hold the lock across processes', ''],
    ['keeps the lock of a process that was killed', 'was killed', 'let a lock expire', 'await lock(key);'],
  ])(
    '%s',
    async (_what, name, message, lock) => {
      const directory = folder();
      const module = join(directory, 'naive.mjs');
      writeFileSync(
        module,
        `import * as files from 'node:fs/promises';
      const path = (key) => ${JSON.stringify(directory)} + '/' + key;
      const pause = () => new Promise((done) => setTimeout(done, 2));
      const read = (key) => files.readFile(path(key), 'utf8').catch(() => undefined);
      async function lock(key) {
        for (let tries = 0; await files.mkdir(path(key) + '.lock').then(() => false, () => tries < 3000); tries++) await pause();
      }
      export default () => ({
        get: read,
        async update(key, change) {
          ${lock}
          const current = await read(key);
          await pause();
          const next = await change(current);
          await files.writeFile(path(key), next);
          await files.rmdir(path(key) + '.lock').catch(() => undefined);
          return next;
        },
        delete: (key) => files.rm(path(key), { force: true }),
        async *keys() {},
      });`,
      );
      const { default: create } = (await import(pathToFileURL(module).href)) as { default: () => SecretStore };
      const failures = await failuresOf((register) =>
        testSecretStore((title, body) => title.includes(name) && register(title, body), {
          create,
          processes: pathToFileURL(module),
          stale: 100,
        }),
      );
      expect(Object.values(failures)).toEqual([expect.stringContaining(message)]);
    },
    30_000,
  );
});
