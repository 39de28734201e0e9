import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import * as files from 'node:fs/promises';
import { chmod, chown, lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileStore, storeDirectory, type FileStoreOptions, type StoreFileSystem } from '../src/index.js';
import { collect, deferred } from './promises.js';

const FAST = { heartbeat: 10, stale: 60, wait: 2000 };
let home: string;
let directory: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'file-store-'));
  directory = join(home, 'data', 'store');
});
afterEach(() => rm(home, { recursive: true, force: true }));

const open = (options: FileStoreOptions = {}) => fileStore({ directory, lock: FAST, ...options });
const put = (value: string | undefined) => async () => value;
const mode = async (path: string): Promise<string> => ((await lstat(path)).mode & 0o777).toString(8);
const file = (key: string): string => join(directory, `${key}.json`);

test('keeps a value for the next process, as one JSON record a key, 0600 in 0700', async () => {
  expect(await open().update('a.b', put('secret'))).toBe('secret');
  expect(await open().get('a.b')).toBe('secret');
  expect(await readdir(directory)).toEqual(['a.b.json']);
  expect(JSON.parse(await readFile(file('a.b'), 'utf8'))).toEqual({ version: 1, key: 'a.b', value: 'secret' });
  expect(await mode(file('a.b'))).toBe('600');
  expect(await mode(directory)).toBe('700');
});

test('reads without making a directory, and forgets without one', async () => {
  const store = open();
  expect(await store.get('a')).toBeUndefined();
  expect(await collect(store.keys(''))).toEqual([]);
  await store.delete('a');
  expect(await readdir(home)).toEqual([]);
});

test('deletes by delete and by an update to undefined, and leaves no file', async () => {
  const store = open();
  await store.update('a', put('1'));
  await store.update('b', put('1'));
  await store.delete('a');
  expect(await store.update('b', put(undefined))).toBeUndefined();
  await store.delete('never');
  expect(await store.get('a')).toBeUndefined();
  expect(await readdir(directory)).toEqual([]);
});

test('lists keys by prefix', async () => {
  const store = open();
  for (const key of ['x.1', 'x.2', 'y.1']) await store.update(key, put('v'));
  expect((await collect(store.keys('x.'))).sort()).toEqual(['x.1', 'x.2']);
});

test('refuses a key that could leave the directory', async () => {
  for (const key of ['../a', 'a/b', 'A', '', 'a'.repeat(201), 'a\0']) {
    await expect(open().get(key)).rejects.toMatchObject({ code: 'STORE_FAILED' });
    await expect(open().update(key, put('v'))).rejects.toMatchObject({ code: 'STORE_FAILED' });
    await expect(open().delete(key)).rejects.toMatchObject({ code: 'STORE_FAILED' });
  }
});

test('lets one update of a key run at a time, in this process and among stores', async () => {
  const stores = [open(), open()];
  const add = async (current: string | undefined): Promise<string> => String(Number(current ?? 0) + 1);
  await Promise.all(Array.from({ length: 40 }, (_, n) => stores[n % 2]!.update('n', add)));
  expect(await stores[0]!.get('n')).toBe('40');
});

test('leaves the value and the lock alone when the change throws', async () => {
  const store = open();
  await store.update('a', put('old'));
  await expect(store.update('a', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await store.update('a', async (current) => `${current}er`)).toBe('older');
  expect(await readdir(directory)).toEqual(['a.json']);
});

test('sees what another process wrote, and reads an unchanged file once', async () => {
  let opened = 0;
  const counting: StoreFileSystem = {
    ...files,
    open: (...args) => {
      opened++;
      return files.open(...args);
    },
  };
  const other = open();
  await other.update('a', put('1'));
  await files.utimes(file('a'), 1, 1);
  const store = open({ fs: counting });
  for (let n = 0; n < 50; n++) expect(await store.get('a')).toBe('1');
  expect(opened).toBe(1);
  await other.update('a', put('2'));
  expect(await store.get('a')).toBe('2');
  await other.delete('a');
  expect(await store.get('a')).toBeUndefined();
});

test('sees every one of many changes of the same length in a row', async () => {
  const store = open();
  const other = open();
  for (let n = 100; n < 200; n++) {
    await other.update('a', put(String(n)));
    expect(await store.get('a')).toBe(String(n));
  }
});

test('gives up waiting when the caller does, and after the deadline with TIMEOUT, while the holder goes on', async () => {
  const store = open({ lock: { ...FAST, wait: 120 } });
  let finish = (): void => undefined;
  const begun = deferred<void>();
  const holder = store.update('a', () => {
    begun.resolve();
    return new Promise((done) => (finish = () => done('held')));
  });
  await begun.promise;
  const late = AbortSignal.abort(new Error('enough'));
  await expect(store.update('a', put('x'), late)).rejects.toThrow('enough');
  await expect(open({ lock: FAST }).update('a', put('x'), AbortSignal.timeout(50))).rejects.toThrow('timeout');
  await expect(store.update('a', put('x'))).rejects.toMatchObject({ code: 'TIMEOUT' });
  await expect(open({ lock: { ...FAST, wait: 80 } }).update('a', put('x'))).rejects.toMatchObject({ code: 'TIMEOUT' });
  finish();
  expect(await holder).toBe('held');
  expect(await readdir(directory)).toEqual(['a.json']);
});

test('refuses a value that it would not read again', async () => {
  const store = open({ memoryFallback: true });
  await store.update('a', put('old'));
  await expect(store.update('a', put('x'.repeat(1_048_577)))).rejects.toMatchObject({ code: 'TOO_LARGE' });
  expect(await store.get('a')).toBe('old');
});

describe('refuses, with the fix,', () => {
  const user = process.geteuid!();
  const refusal = async (): Promise<{ code: string; message: string; remedy: string }> => {
    const caught: unknown = await open()
      .get('a')
      .catch((error: unknown) => error);
    expect(caught).toMatchObject({ code: 'STORE_INSECURE' });
    await expect(open().update('a', put('new'))).rejects.toMatchObject({ code: 'STORE_INSECURE' });
    return caught as { code: string; message: string; remedy: string };
  };
  beforeEach(() => open().update('a', put('secret')));

  test('a record that others can read', async () => {
    await chmod(file('a'), 0o640);
    const { message, remedy } = await refusal();
    expect(message).toContain('mode 0640');
    execFileSync('sh', ['-c', remedy.replace('Run: ', '')]);
    expect(await open().get('a')).toBe('secret');
  });

  test('a record that others can read, when it became so after it was read', async () => {
    const store = open();
    expect(await store.get('a')).toBe('secret');
    await chmod(file('a'), 0o604);
    await expect(store.get('a')).rejects.toMatchObject({ code: 'STORE_INSECURE' });
  });

  test('a directory that others can enter', async () => {
    await chmod(directory, 0o755);
    const { message, remedy } = await refusal();
    expect(message).toContain('mode 0755');
    execFileSync('sh', ['-c', remedy.replace('Run: ', '')]);
    expect(await open().get('a')).toBe('secret');
  });

  test("a record and a directory that are another user's", async () => {
    // Who cannot give files away sees the same through a file system that says so.
    const foreign: StoreFileSystem = {
      ...files,
      lstat: (async (path: string, options: { bigint: true }) => {
        const stat = await files.lstat(path, options);
        return path === directory || path === file('a') ? Object.assign(stat, { uid: BigInt(user + 1) }) : stat;
      }) as typeof files.lstat,
    };
    await expect(open({ fs: foreign }).get('a')).rejects.toMatchObject({
      code: 'STORE_INSECURE',
      remedy: expect.stringContaining(`chown -R ${user}`) as unknown as string,
    });
    if (user === 0) {
      await chown(file('a'), 12345, 0);
      expect((await refusal()).message).toContain('belongs to user 12345');
    }
  });

  test('a symbolic link, even to a good record', async () => {
    await files.rename(file('a'), join(home, 'elsewhere'));
    await symlink(join(home, 'elsewhere'), file('a'));
    expect((await refusal()).remedy).toContain(`rm ${file('a')}`);
    expect(await readFile(join(home, 'elsewhere'), 'utf8')).toContain('secret');
  });

  test('a symbolic link that takes the place of the file between the look and the opening', async () => {
    await symlink(file('a'), join(home, 'link'));
    const swapped: StoreFileSystem = { ...files, open: (_path, ...rest) => files.open(join(home, 'link'), ...rest) };
    await expect(open({ fs: swapped }).get('a')).rejects.toMatchObject({ code: 'STORE_FAILED' });
  });

  test('a symbolic link as the directory', async () => {
    await files.rename(directory, join(home, 'elsewhere'));
    await symlink(join(home, 'elsewhere'), directory);
    expect((await refusal()).remedy).toContain('COUNTERSIGN_STORE=');
  });

  test('a FIFO, without waiting for its other end', async () => {
    await rm(file('a'));
    execFileSync('mkfifo', ['-m', '600', file('a')]);
    expect((await refusal()).message).toContain('not a plain file');
  });

  test('and forgets an insecure record all the same', async () => {
    await chmod(file('a'), 0o644);
    await open().delete('a');
    expect(await readdir(directory)).toEqual([]);
  });
});

test('is proof against any umask', async () => {
  const before = process.umask(0);
  try {
    await open().update('a', put('1'));
    expect([await mode(directory), await mode(file('a'))]).toEqual(['700', '600']);
    await rm(join(home, 'data'), { recursive: true });
    await mkdir(join(home, 'data'));
    process.umask(0o777);
    await open().update('a', put('1'));
    expect([await mode(directory), await mode(file('a'))]).toEqual(['700', '600']);
  } finally {
    process.umask(before);
  }
});

describe('moves a corrupt record aside and goes on as signed out:', () => {
  const good = { version: 1, key: 'a', value: 'v' };
  test.each([
    ['truncated', JSON.stringify(good).slice(0, 20)],
    ['empty', ''],
    ['not a record', '[]'],
    ['null', 'null'],
    ['of another version', JSON.stringify({ ...good, version: 2 })],
    ['of another key', JSON.stringify({ ...good, key: 'b' })],
    ['without a value', JSON.stringify({ ...good, value: 3 })],
    ['of 2 MB', ' '.repeat(2_000_000)],
  ])('%s', async (_name, text) => {
    await open().update('a', put('x'));
    await writeFile(file('a'), text);
    const warnings: string[] = [];
    const log = { debug() {}, warn: (line: string) => void warnings.push(line) };
    expect(await open({ log }).get('a')).toBeUndefined();
    const [aside, ...rest] = await readdir(directory);
    expect(rest).toEqual([]);
    expect(aside).toMatch(/^a\.json\.corrupt-\w+$/);
    expect(await readFile(join(directory, aside!), 'utf8')).toBe(text);
    expect(await mode(join(directory, aside!))).toBe('600');
    expect(warnings).toEqual([expect.stringContaining(aside!)]);
    expect(await collect(open().keys(''))).toEqual([]);
  });

  test('and an update of it starts from nothing', async () => {
    await open().update('a', put('x'));
    await writeFile(file('a'), '{');
    expect(await open().update('a', async (current) => `${current}`)).toBe('undefined');
    expect((await readdir(directory)).sort()).toEqual(['a.json', expect.stringMatching(/^a\.json\.corrupt-/)]);
  });
});

test('finds its directory by COUNTERSIGN_STORE, else in the data folder of the platform', () => {
  expect(storeDirectory({ COUNTERSIGN_STORE: '/s', XDG_DATA_HOME: '/x' }, 'linux')).toBe('/s');
  expect(storeDirectory({ HOME: '/h', XDG_DATA_HOME: '/x' }, 'linux')).toBe('/x/countersign');
  expect(storeDirectory({ HOME: '/h', XDG_DATA_HOME: 'relative' }, 'linux')).toBe('/h/.local/share/countersign');
  expect(storeDirectory({ HOME: '/h' }, 'freebsd')).toBe('/h/.local/share/countersign');
  expect(storeDirectory({ HOME: '/h' }, 'darwin')).toBe('/h/Library/Application Support/countersign');
  expect(storeDirectory({ LOCALAPPDATA: '/l' }, 'win32')).toBe('/l/countersign/Data');
});
