import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

/**
 * Makes a folder for PATH with a `uvx` in it that runs npm's filesystem server, whatever package it is asked for: for configurations that start
 * their servers by uvx, where there is no Python. `close` removes the folder.
 */
export async function createUvx() {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-uvx-'));
  const server = createRequire(import.meta.url).resolve('@modelcontextprotocol/server-filesystem/dist/index.js');
  if (process.platform === 'win32')
    await writeFile(join(folder, 'uvx.cmd'), `@"${process.execPath}" "${server}" %2 %3 %4\r\n`);
  else
    await writeFile(join(folder, 'uvx'), `#!/bin/sh\nshift\nexec '${process.execPath}' '${server}' "$@"\n`, {
      mode: 0o755,
    });
  return { folder, close: () => rm(folder, { recursive: true, force: true }) };
}
