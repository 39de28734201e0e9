import { readdir, readFile, readlink } from 'node:fs/promises';

/** Names the program that listens on a port: "node (pid 4711)". Linux only; `undefined` where it can't be told. */
export async function portHolder(port: number): Promise<string | undefined> {
  try {
    const inodes = await listenersOf(port);
    if (inodes.size === 0) return undefined;
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
      const links = await readdir(`/proc/${pid}/fd`).catch(() => []);
      for (const link of links) {
        const target = await readlink(`/proc/${pid}/fd/${link}`).catch(() => '');
        const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
        if (inode === undefined || !inodes.has(inode)) continue;
        const name = (await readFile(`/proc/${pid}/comm`, 'utf8')).trim().replace(/[^\x20-\x7e]/g, '?');
        return `${name} (pid ${pid})`;
      }
    }
  } catch {
    // not Linux, or not ours to see
  }
  return undefined;
}

async function listenersOf(port: number): Promise<Set<string>> {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const inodes = new Set<string>();
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    const lines = (await readFile(table, 'utf8').catch(() => '')).split('\n').slice(1);
    for (const line of lines) {
      const fields = line.trim().split(/\s+/);
      if (fields[1]?.endsWith(suffix) && fields[3] === '0A' && fields[9]) inodes.add(fields[9]);
    }
  }
  return inodes;
}
