import { randomBytes } from 'node:crypto';
import { rmdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { errorCode, makeDirectory, type StoreFileSystem } from './store-files.js';

/** Milliseconds. */
export interface LockTimes {
  /** How often a holder shows that it lives. */
  readonly heartbeat: number;
  /** A holder that did not for so long loses the lock to whoever waits. */
  readonly stale: number;
  /** How long to wait for the lock. */
  readonly wait: number;
}

/**
 * A lock among processes, held until `release`.
 *
 * It is a directory that holds one directory, the claim, named after its holder; both appear by one `rename`. Whoever takes over from a
 * holder that shows no life renames that claim to its own name: of several, one succeeds. `claim` is then a path that no longer exists for the
 * old holder, so a rename out of it or into it fails with ENOENT, however late: that is the fence, and no clock or PID takes part in it.
 */
export interface FileLock {
  /** A directory of the holder's own. What happens by a rename out of it or into it happens only while the lock is held. */
  readonly claim: string;
  release(): Promise<void>;
}

const OWNER = /^[0-9a-f]{16}$/;
/** What a rename answers when somebody else was faster. */
const BUSY = new Set([
  'ENOTEMPTY',
  'EEXIST',
  'ENOENT',
  ...(process.platform === 'win32' ? ['EPERM', 'EACCES', 'EBUSY'] : []),
]);
const POLL = { first: 4, longest: 60, growth: 1.4 };

/** Takes the lock `path`, waiting for its holder. Rejects with the signal's reason when it aborts, with the system's error when the disk refuses. */
export async function lockFile(
  fs: StoreFileSystem,
  path: string,
  times: LockTimes,
  signal: AbortSignal,
): Promise<FileLock> {
  const owner = randomBytes(8).toString('hex');
  const watch = watchHolder(fs, path, times);
  for (let pause = POLL.first; ; pause = Math.min(pause * POLL.growth, POLL.longest)) {
    signal.throwIfAborted();
    const holder = await findHolder(fs, path);
    if (
      holder === undefined
        ? await claimFree(fs, path, owner)
        : (await watch(holder)) && (await takeOver(fs, path, holder, owner))
    ) {
      return hold(fs, path, owner, times);
    }
    await delay(pause * (0.5 + Math.random()), undefined, { signal }).catch(() => undefined);
  }
}

/** Removes an attempt at a lock, `PATH.OWNER`, as a killed process leaves it. A living one tries again. */
export async function clearAttempt(fs: StoreFileSystem, attempt: string): Promise<void> {
  await fs.rmdir(join(attempt, attempt.slice(-16))).catch(() => undefined);
  await fs.rmdir(attempt).catch(() => undefined);
}

/** Takes a lock over and frees it when its holder showed no life since `before` (milliseconds since the epoch). */
export async function clearDeadLock(fs: StoreFileSystem, path: string, before: number): Promise<void> {
  const holder = await findHolder(fs, path);
  if (holder !== undefined) {
    const age = await fs.lstat(join(path, holder)).then(
      (stat) => stat.mtimeMs,
      () => Infinity,
    );
    const owner = randomBytes(8).toString('hex');
    if (age > before || !(await takeOver(fs, path, holder, owner))) return;
    await fs.rmdir(join(path, owner));
  }
  await fs.rmdir(path).catch(() => undefined);
}

async function findHolder(fs: StoreFileSystem, path: string): Promise<string | undefined> {
  try {
    return (await fs.readdir(path)).find((name) => OWNER.test(name));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function claimFree(fs: StoreFileSystem, path: string, owner: string): Promise<boolean> {
  const attempt = `${path}.${owner}`;
  await fs.mkdir(attempt, 0o700);
  try {
    await fs.chmod(attempt, 0o700);
    await makeDirectory(fs, join(attempt, owner));
    // Replaces an empty directory (a free lock), and fails on any other. Windows replaces none.
    if (process.platform === 'win32') await fs.rmdir(path).catch(() => undefined);
    await fs.rename(attempt, path);
    // Whoever sweeps may have emptied this attempt just before.
    await fs.lstat(join(path, owner));
    return true;
  } catch (error) {
    await clearAttempt(fs, attempt);
    if (BUSY.has(errorCode(error) ?? '')) return false;
    throw error;
  }
}

/** Answers whether a holder has shown no life for long enough. A gap in our own observation (we were stopped too) counts as one heartbeat. */
function watchHolder(fs: StoreFileSystem, path: string, times: LockTimes): (holder: string) => Promise<boolean> {
  let seen = { life: '', at: 0, silent: 0 };
  return async (holder) => {
    const mtime = await fs.lstat(join(path, holder)).then(
      (stat) => stat.mtimeMs,
      () => undefined,
    );
    const life = `${holder} ${mtime}`;
    const at = performance.now();
    const silent = life === seen.life ? seen.silent + Math.min(at - seen.at, times.heartbeat) : 0;
    seen = { life, at, silent };
    return mtime !== undefined && silent >= times.stale;
  };
}

async function takeOver(fs: StoreFileSystem, path: string, holder: string, owner: string): Promise<boolean> {
  const claim = join(path, owner);
  try {
    await fs.rename(join(path, holder), claim);
  } catch (error) {
    if (BUSY.has(errorCode(error) ?? '')) return false;
    throw error;
  }
  await empty(fs, claim);
  await beat(fs, claim);
  return true;
}

async function empty(fs: StoreFileSystem, claim: string): Promise<void> {
  for (const name of await fs.readdir(claim).catch(() => [])) await fs.unlink(join(claim, name)).catch(() => undefined);
}

async function beat(fs: StoreFileSystem, claim: string): Promise<void> {
  const now = new Date();
  await fs.utimes(claim, now, now).catch(() => undefined);
}

const held = new Set<string>();

/** A process that exits in the middle of its work need not keep the others waiting. */
function releaseAll(): void {
  for (const claim of held) {
    rmSync(claim, { recursive: true, force: true });
    try {
      rmdirSync(dirname(claim));
    } catch {
      // Taken over.
    }
  }
}

function hold(fs: StoreFileSystem, path: string, owner: string, times: LockTimes): FileLock {
  const claim = join(path, owner);
  const timer = setInterval(() => void beat(fs, claim), times.heartbeat).unref();
  if (held.size === 0) process.on('exit', releaseAll);
  held.add(claim);
  return {
    claim,
    async release() {
      clearInterval(timer);
      held.delete(claim);
      if (held.size === 0) process.off('exit', releaseAll);
      await fs.rmdir(claim).catch(async () => {
        await empty(fs, claim);
        await fs.rmdir(claim).catch(() => undefined);
      });
      await fs.rmdir(path).catch(() => undefined); // Fails when the next holder is in already.
    },
  };
}
