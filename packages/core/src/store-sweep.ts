import { join } from 'node:path';
import { clearAttempt, clearDeadLock, type LockTimes } from './file-lock.js';
import type { StoreFileSystem } from './store-files.js';

const ATTEMPT = /^(.+)\.lock\.[0-9a-f]{16}$/;
const LOCK = /^(.+)\.lock$/;
const LONG_DEAD = 60_000; // milliseconds; by the wall clock, so with room to spare

/** Removes what killed processes left behind; called by the holder of `key`'s lock. Taking it from a living one does no harm: it tries again, or gets LOCK_LOST. */
export async function sweep(fs: StoreFileSystem, directory: string, key: string, times: LockTimes): Promise<void> {
  for (const name of await fs.readdir(directory)) {
    const path = join(directory, name);
    const attemptOf = ATTEMPT.exec(name)?.[1];
    const now = Date.now();
    if (attemptOf !== undefined) {
      const made = await fs.lstat(path).then(
        (stat) => stat.mtimeMs,
        () => now,
      );
      if (attemptOf === key || Math.abs(now - made) > times.stale) await clearAttempt(fs, path);
    } else if (LOCK.test(name) && name !== `${key}.lock`) {
      await clearDeadLock(fs, path, now - LONG_DEAD - times.stale);
    }
  }
}
