import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

/** @typedef {{ readonly url: URL, readonly pid: number, close(): Promise<void> }} Everything */

/** @type {Map<string, Promise<Everything>>} */
const shared = new Map();

/**
 * The server-everything of this process, started at first use and reused by every guard. It ends with the process; `closeEverything` ends it sooner.
 * @param {'streamableHttp' | 'sse'} [transport]
 */
export function everything(transport = 'streamableHttp') {
  let server = shared.get(transport);
  if (server === undefined) shared.set(transport, (server = startEverything(transport)));
  return server;
}

/** Ends the servers that `everything` started: for a test file's `afterAll`. */
export async function closeEverything() {
  const servers = [...shared.values()];
  shared.clear();
  await Promise.all(servers.map(async (server) => (await server).close()));
}

/**
 * Starts an own server-everything on a free port of loopback, and resolves when it listens. Its URL ends in `/mcp` or `/sse`.
 * @param {'streamableHttp' | 'sse'} [transport]
 * @returns {Promise<Everything>}
 */
export async function startEverything(transport = 'streamableHttp') {
  const entry = fileURLToPath(new URL('./everything-child.mjs', import.meta.url));
  // Not process.execArgv: the loaders of a test runner are none of its business.
  const child = spawn(process.execPath, [entry, transport], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    env: { PATH: process.env.PATH },
  });
  let complaints = '';
  child.stderr?.on('data', (chunk) => (complaints = (complaints + chunk).slice(-4096)));
  const exited = once(child, 'exit');
  const address = /** @type {{ port: number }} */ (
    await Promise.race([
      once(child, 'message').then(([message]) => message),
      exited.then(([code]) => Promise.reject(new Error(`server-everything ended with ${code}: ${complaints}`))),
    ])
  );
  // It must not keep its parent alive; when the parent ends, the channel closes and so does the child.
  child.unref();
  child.channel?.unref();
  /** @type {import('node:net').Socket} */ (/** @type {unknown} */ (child.stderr)).unref();
  return {
    url: new URL(`http://127.0.0.1:${address.port}/${transport === 'sse' ? 'sse' : 'mcp'}`),
    pid: /** @type {number} */ (child.pid),
    async close() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.ref();
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** What a stdio configuration names to run server-everything: `{ command, args }`. */
export function everythingCommand() {
  const path = createRequire(import.meta.url).resolve('@modelcontextprotocol/server-everything/dist/index.js');
  return { command: process.execPath, args: [path, 'stdio'] };
}
