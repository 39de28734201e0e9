import * as files from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { CountersignError, isCountersignError } from './errors.js';
import { lockFile, type FileLock, type LockTimes } from './file-lock.js';
import { silentLog, type Log } from './log.js';
import type { SecretStore } from './secret-store.js';
import { storeDirectory } from './store-directory.js';
import {
  checkDirectory,
  checkRecord,
  errorCode,
  makeStore,
  moveAside,
  readRecord,
  recordPath,
  storeFailed,
  syncDirectory,
  writeRecord,
  type StoreFileSystem,
} from './store-files.js';
import { sweep } from './store-sweep.js';
import { turns } from './turns.js';

export interface FileStoreOptions {
  /** By default `storeDirectory(env)`. */
  readonly directory?: string;
  /** Replaces process.env for the default directory. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /**
   * For a process that lives on: what cannot be written (a full disk) is kept in memory, a warning says so, and it is written later.
   * Without it `update` rejects with STORE_FAILED and the old record stays, so that who resolves knows it durable.
   */
  readonly memoryFallback?: boolean;
  /** Milliseconds until what could not be written is tried again: 10 000. */
  readonly retryDelay?: number;
  readonly log?: Log;
  /** The lock's times in milliseconds: heartbeat 1000, stale 5000, wait 55 000. Those who share a directory share them. */
  readonly lock?: Partial<LockTimes>;
  /** Replaces node:fs/promises. */
  readonly fs?: StoreFileSystem;
}

/** A value that waits in memory for the disk. `base` is what the disk held instead: another value there is newer, and counts. */
interface Unwritten {
  readonly value: string | undefined;
  readonly base: string | undefined;
}

interface Cached {
  readonly signature: string;
  readonly value: string | undefined;
  /** The file was so young when it was read that a second change could bear the same times. */
  readonly young: boolean;
}

const KEY = /^[0-9a-z._-]{1,200}$/;
const YOUNG = 2500n * 1_000_000n; // nanoseconds; FAT counts in two seconds

/**
 * The store that survives the process: a JSON record for each key, 0600 in a directory 0700, shared by every process of the user.
 * Throws STORE_INSECURE when others have a part in a file, STORE_FAILED when the disk refuses, TIMEOUT after `lock.wait`, LOCK_LOST rather than write late.
 */
export function fileStore(options: FileStoreOptions = {}): SecretStore {
  const { fs = files, log = silentLog, memoryFallback = false, retryDelay = 10_000 } = options;
  const directory = options.directory ?? storeDirectory(options.env);
  const times: LockTimes = { heartbeat: 1000, stale: 5000, wait: 55_000, ...options.lock };
  const turn = turns(times.wait);
  const cache = new Map<string, Cached>();
  const unwritten = new Map<string, Unwritten>();
  let checked = false;
  let swept = false;
  let retry: NodeJS.Timeout | undefined;

  /** What the disk holds now; from memory when its file is as it was. */
  async function read(
    key: string,
    fresh: boolean,
    corrupt: (reason: string) => Promise<undefined>,
  ): Promise<string | undefined> {
    const path = recordPath(directory, key);
    try {
      const stat = await fs.lstat(path, { bigint: true });
      checkRecord(path, stat);
      const signature = `${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}`;
      const cached = cache.get(key);
      if (cached?.signature === signature && !cached.young && !fresh) return cached.value;
      const young = BigInt(Date.now()) * 1_000_000n - stat.mtimeNs < YOUNG;
      const record = await readRecord(fs, path, key);
      if ('corrupt' in record) {
        cache.delete(key);
        return await corrupt(record.corrupt);
      }
      cache.set(key, { signature, value: record.value, young });
      return record.value;
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw storeFailed(`The stored secret ${path} cannot be read`, error);
      cache.delete(key);
      return undefined;
    }
  }

  /** The same by the lock's holder, who moves a corrupt file aside: a reader might move away what a writer has just mended. */
  const readLocked = (key: string): Promise<string | undefined> =>
    read(key, true, async (reason) => {
      const path = recordPath(directory, key);
      const aside = await moveAside(fs, path, reason);
      log.warn(`The stored secret ${path} cannot be used: ${reason}. It was moved to ${aside}; sign in again.`);
      return undefined;
    });

  const readUnlocked = (key: string): Promise<string | undefined> => read(key, false, async () => undefined);

  const readMending = (key: string): Promise<string | undefined> =>
    read(key, false, () =>
      turn(key, undefined, async (signal) => {
        const lock = await takeLock(key, signal);
        await readLocked(key).finally(() => lock.release());
        return undefined;
      }),
    );

  async function takeLock(key: string, signal: AbortSignal): Promise<FileLock> {
    try {
      if (!(await checkDirectory(fs, directory))) await makeStore(fs, directory);
      const lock = await lockFile(fs, join(directory, `${key}.lock`), times, signal);
      if (!swept) await sweep(fs, directory, key, times).catch(() => undefined);
      swept = true;
      return lock;
    } catch (error) {
      signal.throwIfAborted();
      throw storeFailed(`The secret store ${directory} cannot be written`, error);
    }
  }

  /** Puts the value on disk. Either way it is one rename with the claim in it, which fails when the lock is lost. */
  async function write(key: string, value: string | undefined, lock: FileLock): Promise<void> {
    const path = recordPath(directory, key);
    try {
      if (value === undefined) await fs.rename(path, join(lock.claim, 'deleted'));
      else await writeRecord(fs, join(lock.claim, 'next'), path, key, value);
      await syncDirectory(fs, directory);
    } catch (error) {
      const lost = await fs.lstat(lock.claim).then(
        () => false,
        (gone: unknown) => errorCode(gone) === 'ENOENT',
      );
      if (lost)
        throw new CountersignError('LOCK_LOST', `Another process took over the lock of the stored secret ${path}.`, {
          cause: error,
        });
      if (value !== undefined || errorCode(error) !== 'ENOENT')
        throw storeFailed(`The stored secret ${path} cannot be written`, error);
    }
    if (value === undefined) cache.delete(key);
    else cache.set(key, { signature: '', value, young: true });
  }

  /** What counts: what waits for the disk, unless the disk has changed since. */
  async function current(
    key: string,
    readDisk: (key: string) => Promise<string | undefined>,
  ): Promise<string | undefined> {
    const waiting = unwritten.get(key);
    const disk = await readDisk(key).catch((error: unknown) => {
      const known = waiting ? { value: waiting.base } : cache.get(key);
      if (!memoryFallback || !isCountersignError(error, 'STORE_FAILED') || !known) throw error;
      return known.value;
    });
    if (!waiting || unwritten.get(key) !== waiting) return disk;
    if (disk === waiting.base) return waiting.value;
    unwritten.delete(key);
    return disk;
  }

  async function change(
    key: string,
    work: (current: string | undefined) => Promise<string | undefined>,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const lock = await takeLock(key, signal).catch(orMemory);
    try {
      const failed = isCountersignError(lock);
      const before = await current(key, failed ? readUnlocked : readLocked);
      const next = await work(before);
      if (next === before && !unwritten.has(key)) return next;
      const failure = failed ? lock : await write(key, next, lock).catch(orMemory);
      if (failure) await keepInMemory(key, next, before, failure);
      else unwritten.delete(key);
      return next;
    } finally {
      if (!isCountersignError(lock)) await lock.release();
    }
  }

  /** Forgets without a look at the value, so that an insecure or corrupt record goes too. */
  async function forget(key: string, signal: AbortSignal): Promise<void> {
    if (!unwritten.has(key) && !(await checkDirectory(fs, directory))) return;
    const lock = await takeLock(key, signal).catch(orMemory);
    const failure = isCountersignError(lock)
      ? lock
      : await write(key, undefined, lock)
          .catch(orMemory)
          .finally(() => lock.release());
    if (failure) await keepInMemory(key, undefined, undefined, failure);
    else unwritten.delete(key);
  }

  /** Answers the disk's refusal where the process goes on from memory; throws it, and any other error, elsewhere. */
  function orMemory(error: unknown): CountersignError {
    if (memoryFallback && isCountersignError(error, 'STORE_FAILED')) return error;
    throw error;
  }

  async function keepInMemory(
    key: string,
    value: string | undefined,
    before: string | undefined,
    failure: CountersignError,
  ): Promise<void> {
    if (unwritten.size === 0) log.warn(`${failure.message} Going on from memory; it is written as soon as that works.`);
    const base = await readUnlocked(key).catch(() => unwritten.get(key)?.base ?? before);
    unwritten.set(key, { value, base });
    retry ??= setTimeout(() => {
      retry = undefined;
      void writeWaiting();
    }, retryDelay).unref();
  }

  async function writeWaiting(): Promise<void> {
    if (unwritten.size === 0) return;
    for (const key of [...unwritten.keys()])
      await update(key, async (value) => value).catch((error: Error) => log.debug(error.message));
    if (unwritten.size === 0) log.debug(`The secret store ${directory} is written again.`);
  }

  const update: SecretStore['update'] = async (key, work, signal) => {
    checkKey(key);
    return turn(key, signal, (waiting) => change(key, work, waiting));
  };

  return {
    description: `file ${directory.replace(homedir(), '~')}`,
    update,
    async get(key) {
      checkKey(key);
      if (!checked && !(await checkDirectory(fs, directory))) return unwritten.get(key)?.value;
      checked = true;
      return current(key, readMending);
    },
    async delete(key) {
      checkKey(key);
      await turn(key, undefined, (waiting) => forget(key, waiting));
    },
    async *keys(prefix) {
      const names = (await checkDirectory(fs, directory)) ? await fs.readdir(directory) : [];
      const stored = names.filter((name) => name.endsWith('.json')).map((name) => name.slice(0, -'.json'.length));
      for (const key of new Set([...stored, ...unwritten.keys()])) {
        const waiting = unwritten.get(key);
        if (key.startsWith(prefix) && KEY.test(key) && !(waiting && waiting.value === undefined)) yield key;
      }
    },
    async dispose() {
      await writeWaiting();
      clearTimeout(retry);
      if (unwritten.size > 0)
        log.warn(`${unwritten.size} secrets could not be written to ${directory} and are lost: sign in again.`);
    },
  };
}

function checkKey(key: string): void {
  if (!KEY.test(key))
    throw new CountersignError(
      'STORE_FAILED',
      `${JSON.stringify(key.slice(0, 80))} is not a key: 1 to 200 of 0-9, a-z, ".", "_", "-".`,
    );
}
