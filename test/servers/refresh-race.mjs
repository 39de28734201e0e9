import { buildSync } from 'esbuild';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const worker = fileURLToPath(new URL('./oauth-worker.mjs', import.meta.url));

/** Bundles core and auth-oauth from their sources, for processes without a TypeScript loader. @param {string} outfile */
export function bundleClient(outfile) {
  buildSync({
    stdin: {
      contents:
        "export { createCountersign, fileStore } from '@countersign/core'; export { default as oauth } from '@countersign/auth-oauth';",
      resolveDir: root,
    },
    bundle: true,
    platform: 'node',
    format: 'esm',
    conditions: ['@countersign/source'],
    mainFields: ['module', 'main'],
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    outfile,
  });
}

/** @typedef {Awaited<ReturnType<typeof startWorker>>} Worker */

/** Starts a process that shares the store. @param {{ bundle: string, directory: string, url: string }} options */
export async function startWorker({ bundle, directory, url }) {
  const child = fork(worker, [bundle, directory, url], {
    execArgv: [],
    env: { PATH: process.env.PATH },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  /** @param {string} name @returns {Promise<any>} */
  const said = (name) =>
    new Promise((resolve, reject) => {
      const listener = (/** @type {any} */ message) => {
        if (!(name in message)) return;
        child.off('message', listener).off('exit', gone);
        resolve(message[name]);
      };
      const gone = (/** @type {number | null} */ code, /** @type {string | null} */ signal) =>
        reject(new Error(`The worker ended (${code ?? signal}).`));
      child.on('message', listener).once('exit', gone);
    });
  await said('ready');
  return {
    child,
    /** Makes requests at once, and answers a status or an error's code for each. @param {number} [count] @returns {Promise<(number | string)[]>} */
    call(count = 1) {
      const results = said('results');
      child.send({ call: count });
      return results;
    },
    /** Resolves when the next refresh has the lock and has not claimed the token; it waits for `go`. */
    pause() {
      const claiming = said('claiming');
      claiming.catch(() => undefined);
      child.send({ pause: true });
      return claiming;
    },
    go: () => void child.send({ go: true }),
    /** @param {NodeJS.Signals} signal */
    kill: (signal) => child.kill(signal),
    async close() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/**
 * Ends every access token, lets all workers call at once, and tells what came of it.
 * @param {{ oidc: import('./oidc.mjs').Oidc, workers: Worker[], parallel?: number, cause: 'revoked' | 'expired', ttl?: number }} options
 */
export async function raceRound({ oidc, workers, parallel = 1, cause, ttl = 0 }) {
  const before = { refreshes: oidc.refreshes, reuses: oidc.reuses };
  if (cause === 'revoked') oidc.revokeAccessTokens();
  else await new Promise((done) => setTimeout(done, ttl * 1000 + 100));
  const begun = performance.now();
  const results = (await Promise.all(workers.map((one) => one.call(parallel)))).flat();
  return {
    milliseconds: Math.round(performance.now() - begun),
    failed: results.filter((one) => one !== 200),
    refreshes: oidc.refreshes - before.refreshes,
    reuses: oidc.reuses - before.reuses,
  };
}
