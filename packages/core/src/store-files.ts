import type { BigIntStats } from 'node:fs';
import { constants } from 'node:fs';
import type * as files from 'node:fs/promises';
import { realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CountersignError, isCountersignError } from './errors.js';

/** What the file store asks of a file system: `node:fs/promises`, or a test's own that fails. */
export type StoreFileSystem = Pick<
  typeof files,
  'chmod' | 'lstat' | 'mkdir' | 'open' | 'readdir' | 'rename' | 'rmdir' | 'unlink' | 'utimes'
>;

/** What a record's file held when it was read. */
export type StoredRecord = { readonly value: string } | { readonly corrupt: string };

const LONGEST = 1_048_576; // bytes
const NOFOLLOW = (constants.O_NOFOLLOW as number | undefined) ?? 0; // Windows has neither
const NONBLOCK = (constants.O_NONBLOCK as number | undefined) ?? 0;
/** Without a directory's fsync these systems have nothing to offer instead. */
const NO_DIRECTORY_SYNC = new Set(['EINVAL', 'ENOTSUP', 'EPERM', 'EACCES', 'EISDIR', 'EBADF']);

export const errorCode = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | undefined)?.code;

/** Turns a system's error into STORE_FAILED, and passes on those that are Countersign's already. */
export function storeFailed(deed: string, error: unknown): CountersignError {
  if (isCountersignError(error)) return error;
  const reason = error instanceof Error ? (error.message.split(', ')[0] ?? error.name) : 'no reason given';
  return new CountersignError('STORE_FAILED', `${deed}: ${reason}.`, { cause: error });
}

/** Makes a directory that only its owner can enter, whatever the umask. */
export async function makeDirectory(fs: StoreFileSystem, path: string): Promise<void> {
  await fs.mkdir(path, 0o700);
  await fs.chmod(path, 0o700);
}

/** Makes the store's directory, unless another process was faster, and checks it. */
export async function makeStore(fs: StoreFileSystem, path: string): Promise<void> {
  await fs.mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await makeDirectory(fs, path).catch((error: unknown) => {
    if (errorCode(error) !== 'EEXIST') throw error;
  });
  await checkDirectory(fs, path);
}

/** Answers whether the store's directory is there. Throws STORE_INSECURE, with the command that mends it, when others have a part in it. */
export async function checkDirectory(fs: StoreFileSystem, path: string): Promise<boolean> {
  const stat = await fs.lstat(path, { bigint: true }).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw storeFailed(`The secret store ${path} cannot be read`, error);
  });
  if (!stat) return false;
  if (stat.isSymbolicLink()) {
    const target = await realpath(path).catch(() => 'DIRECTORY');
    throw insecure(
      `The secret store ${path} is a symbolic link.`,
      `Name the directory itself: COUNTERSIGN_STORE=${quoted(target)}`,
    );
  }
  if (!stat.isDirectory())
    throw insecure(
      `The secret store ${path} is not a directory.`,
      `Move it away: mv ${quoted(path)} ${quoted(`${path}.old`)}`,
    );
  checkOwnerAndMode('The secret store', path, stat, '700', 'chown -R');
  return true;
}

/** Throws STORE_INSECURE, with the command that mends it, unless a record is a plain file of ours that nobody else can read. */
export function checkRecord(path: string, stat: BigIntStats): void {
  if (stat.isSymbolicLink())
    throw insecure(`The stored secret ${path} is a symbolic link.`, `Remove it, and sign in again: rm ${quoted(path)}`);
  if (!stat.isFile())
    throw insecure(
      `The stored secret ${path} is not a plain file.`,
      `Remove it, and sign in again: rm -r ${quoted(path)}`,
    );
  checkOwnerAndMode('The stored secret', path, stat, '600', 'chown');
}

/** Reads the record of `key`. Opens neither a link nor a FIFO that took the file's place in the meantime. */
export async function readRecord(fs: StoreFileSystem, path: string, key: string): Promise<StoredRecord> {
  const handle = await fs.open(path, constants.O_RDONLY | NOFOLLOW | NONBLOCK);
  try {
    const stat = await handle.stat({ bigint: true });
    checkRecord(path, stat);
    if (stat.size > LONGEST) return { corrupt: 'it is larger than 1 MB' };
    return parseRecord(await handle.readFile('utf8'), key);
  } finally {
    await handle.close();
  }
}

/** Writes a record whole and durable at `path`, by way of `temporary`; until the rename the old one stays. Throws TOO_LARGE beyond 1 MB. */
export async function writeRecord(
  fs: StoreFileSystem,
  temporary: string,
  path: string,
  key: string,
  value: string,
): Promise<void> {
  const text = `${JSON.stringify({ version: 1, key, value })}\n`;
  if (Buffer.byteLength(text) > LONGEST) {
    throw new CountersignError('TOO_LARGE', `A secret for ${path} is larger than 1 MB.`);
  }
  const handle = await fs.open(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | NOFOLLOW, 0o600);
  try {
    await handle.chmod(0o600);
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await fs.rename(temporary, path);
}

/** Makes what was renamed in a directory durable, where the system can. */
export async function syncDirectory(fs: StoreFileSystem, path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await fs.open(path, constants.O_RDONLY);
  try {
    await handle.sync();
  } catch (error) {
    if (!NO_DIRECTORY_SYNC.has(errorCode(error) ?? '')) throw error;
  } finally {
    await handle.close();
  }
}

/** Moves a record that cannot be understood aside, and answers its new path. Throws STORE_CORRUPT when it can't. */
export async function moveAside(fs: StoreFileSystem, path: string, reason: string): Promise<string> {
  const aside = `${path}.corrupt-${new Date().toISOString().replace(/[-:.]/g, '')}`;
  await fs.rename(path, aside).catch((error: unknown) => {
    throw new CountersignError(
      'STORE_CORRUPT',
      `The stored secret ${path} cannot be used (${reason}), nor moved aside.`,
      {
        cause: error,
        remedy: `Move it away, and sign in again: mv ${quoted(path)} ${quoted(aside)}`,
      },
    );
  });
  return aside;
}

/** The file of a key within the store. */
export const recordPath = (directory: string, key: string): string => join(directory, `${key}.json`);

function parseRecord(text: string, key: string): StoredRecord {
  let record: { version?: unknown; key?: unknown; value?: unknown } | null;
  try {
    record = JSON.parse(text) as typeof record;
  } catch {
    return { corrupt: 'it is not JSON' }; // The parser's message quotes the text.
  }
  if (typeof record !== 'object' || record === null) return { corrupt: 'it is not a record' };
  if (record.version !== 1) return { corrupt: 'it was written by another version of Countersign' };
  if (record.key !== key) return { corrupt: 'it is the record of another key' };
  return typeof record.value === 'string' ? { value: record.value } : { corrupt: 'it has no value' };
}

function checkOwnerAndMode(what: string, path: string, stat: BigIntStats, mode: string, chown: string): void {
  const user = process.geteuid?.();
  if (user === undefined) return; // Windows: the profile's folder is the user's own by its access list.
  if (stat.uid !== BigInt(user)) {
    throw insecure(
      `${what} ${path} belongs to user ${stat.uid}, and this is user ${user}.`,
      `Run as its owner, or, if it is yours: sudo ${chown} ${user} ${quoted(path)}`,
    );
  }
  const open = Number(stat.mode & 0o077n);
  if (open !== 0) {
    const octal = Number(stat.mode & 0o7777n)
      .toString(8)
      .padStart(4, '0');
    throw insecure(`${what} ${path} is open to other users (mode ${octal}).`, `Run: chmod ${mode} ${quoted(path)}`);
  }
}

const insecure = (message: string, remedy: string): CountersignError =>
  new CountersignError('STORE_INSECURE', message, { remedy });

const quoted = (path: string): string =>
  /^[\w./:=@%+,-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`;
