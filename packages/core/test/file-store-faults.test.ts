import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import * as files from 'node:fs/promises';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileStore, type FileStoreOptions, type StoreFileSystem } from '../src/index.js';
import { collect, deferred } from './promises.js';

type Step = 'mkdir' | 'open' | 'write' | 'sync' | 'rename' | 'sync-directory' | 'read';

/** A file system that fails at one step until told otherwise. */
function failing(code: 'EIO' | 'ENOSPC'): StoreFileSystem & { at: Step | undefined } {
  const error = (): Error => Object.assign(new Error(`${code}: injected, deed`), { code });
  const fs = {
    ...files,
    at: undefined as Step | undefined,
    mkdir: (async (...args: Parameters<typeof files.mkdir>) => {
      if (fs.at === 'mkdir') throw error();
      return files.mkdir(...args);
    }) as typeof files.mkdir,
    async rename(from: string, to: string) {
      if (fs.at === 'rename' && to.endsWith('.json')) throw error();
      return files.rename(from, to);
    },
    async open(path: string, ...rest: [number, number?]) {
      const record = path.endsWith('next');
      if (fs.at === 'open' && record) throw error();
      if (fs.at === 'read' && path.endsWith('.json')) throw error();
      const handle = await files.open(path, ...rest);
      if (fs.at === 'write') {
        handle.writeFile = async () => {
          await handle.write('{"ver');
          throw error();
        };
      }
      if ((fs.at === 'sync' && record) || (fs.at === 'sync-directory' && !record))
        handle.sync = () => Promise.reject(error());
      return handle;
    },
  };
  return fs as unknown as StoreFileSystem & { at: Step | undefined };
}

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'file-store-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const put = (value: string | undefined) => async () => value;
const plain = () => fileStore({ directory });
const steps: Step[] = ['mkdir', 'open', 'write', 'sync', 'rename'];
const cases = (['EIO', 'ENOSPC'] as const).flatMap((code) => steps.map((step) => ({ code, step })));

function long(options: FileStoreOptions) {
  const warnings: string[] = [];
  const written = deferred<void>();
  const log = {
    warn: (line: string) => void warnings.push(line),
    debug: (line: string) => (line.includes('written again') ? written.resolve() : undefined),
  };
  const store = fileStore({ directory, memoryFallback: true, retryDelay: 40, log, ...options });
  return { store, warnings, written: written.promise };
}

describe.each(cases)('$code at $step', ({ code, step }) => {
  test('rejects with STORE_FAILED, and the old record stays', async () => {
    await plain().update('a', put('old'));
    const fs = failing(code);
    fs.at = step;
    const store = fileStore({ directory, fs });
    await expect(store.update('a', put('new'))).rejects.toMatchObject({
      code: 'STORE_FAILED',
      message: expect.stringContaining(`${code}: injected.`) as unknown as string,
    });
    expect(await store.get('a')).toBe('old');
    expect(await readdir(directory)).toEqual(['a.json']);
    fs.at = undefined;
    expect(await store.update('a', async (current) => `${current} and new`)).toBe('old and new');
  });

  test('with memoryFallback goes on from memory, warns once, and writes later', async () => {
    await plain().update('a', put('old'));
    const fs = failing(code);
    fs.at = step;
    const { store, warnings, written } = long({ fs });
    expect(await store.update('a', put('new'))).toBe('new');
    expect(await store.update('b', put('other'))).toBe('other');
    expect(await store.get('a')).toBe('new');
    expect((await collect(store.keys(''))).sort()).toEqual(['a', 'b']);
    expect(await plain().get('a')).toBe('old');
    expect(warnings).toEqual([expect.stringContaining('Going on from memory')]);
    expect(warnings[0]).toContain(code);
    fs.at = undefined;
    await written;
    expect(await plain().get('a')).toBe('new');
    expect(await plain().get('b')).toBe('other');
    expect((await readdir(directory)).sort()).toEqual(['a.json', 'b.json']);
    await store.dispose!();
    expect(warnings).toHaveLength(1);
  });
});

test.each(['EIO', 'ENOSPC'] as const)('does not call a record durable whose directory met %s', async (code) => {
  const fs = failing(code);
  fs.at = 'sync-directory';
  await expect(fileStore({ directory, fs }).update('a', put('new'))).rejects.toMatchObject({ code: 'STORE_FAILED' });
  const { store, written } = long({ fs });
  expect(await store.update('a', put('newer'))).toBe('newer');
  fs.at = undefined;
  await written;
  expect(await plain().get('a')).toBe('newer');
});

test('forgets in memory what cannot be deleted, and deletes it later', async () => {
  await plain().update('a', put('old'));
  const fs = failing('EIO');
  fs.at = 'mkdir';
  await expect(fileStore({ directory, fs }).delete('a')).rejects.toMatchObject({ code: 'STORE_FAILED' });
  const { store, written } = long({ fs });
  await store.delete('a');
  expect(await store.get('a')).toBeUndefined();
  expect(await collect(store.keys(''))).toEqual([]);
  fs.at = undefined;
  await written;
  expect(await readdir(directory)).toEqual([]);
});

test('gives way to what another process wrote in the meantime', async () => {
  await plain().update('a', put('old'));
  const fs = failing('ENOSPC');
  fs.at = 'write';
  const { store, written } = long({ fs });
  await store.update('a', put('mine'));
  await plain().update('a', put('signed in again'));
  expect(await store.get('a')).toBe('signed in again');
  await store.update('b', put('mine'));
  await plain().update('b', put('theirs'));
  fs.at = undefined;
  await written;
  expect(await plain().get('a')).toBe('signed in again');
  expect(await plain().get('b')).toBe('theirs');
});

test('tries once more when it is closed, and says what is lost', async () => {
  const fs = failing('ENOSPC');
  fs.at = 'write';
  const { store, warnings } = long({ fs, retryDelay: 60_000 });
  await store.update('a', put('1'));
  await store.dispose!();
  expect(warnings.at(-1)).toContain('are lost');
  fs.at = undefined;
  await store.dispose!();
  expect(await plain().get('a')).toBe('1');
});

test('answers the last known value while the disk cannot be read', async () => {
  const fs = failing('EIO');
  const { store } = long({ fs });
  await store.update('a', put('1'));
  fs.at = 'read';
  expect(await store.get('a')).toBe('1');
  await expect(fileStore({ directory, fs }).get('a')).rejects.toMatchObject({ code: 'STORE_FAILED' });
});
