// npm run soak: many processes and many requests on one store, against a token endpoint that takes 0.2, 6 and 40 seconds, for 20 rounds each; about an hour.
// Options: --rounds N, --delays 0.2,6,40, --processes 5,20, --causes revoked,expired. Prints a line for each setting, and the worst round at the end.
import { createCountersign, fileStore } from '@countersign/core';
import oauth from '@countersign/auth-oauth';
import { closeEverything, signInAt, startOidc } from '@countersign/test-servers';
import { bundleClient, raceRound, startWorker } from '@countersign/test-servers/refresh-race';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '20' },
    delays: { type: 'string', default: '0.2,6,40' },
    processes: { type: 'string', default: '1,5,20' },
    causes: { type: 'string', default: 'revoked,expired,no-expires-in' },
  },
});
const numbers = (text) => text.split(',').map(Number);
const rounds = Number(values.rounds);
const folder = await mkdtemp(join(tmpdir(), 'soak-'));
const bundle = join(folder, 'client.mjs');
bundleClient(bundle);
const all = [];

for (const delay of numbers(values.delays)) {
  const settings = numbers(values.processes).flatMap((processes) =>
    values.causes.split(',').map((cause) => () => soak(delay, processes, cause)),
  );
  // Who waits for a slow endpoint leaves the machine to others.
  if (delay >= 5) all.push(...(await Promise.all(settings.map((run) => run()))));
  else for (const run of settings) all.push(await run());
}

await closeEverything();
await rm(folder, { recursive: true, force: true });
const worst = all.reduce((bad, one) =>
  one.failed + one.reuses > bad.failed + bad.reuses || one.slowest > bad.slowest ? one : bad,
);
console.log(`worst: ${line(worst)}`);
process.exitCode = all.some(({ failed, reuses, extra, live }) => failed || reuses || extra || !live) ? 1 : 0;

/** One setting: one process makes 50 requests at once, several make ten each. */
async function soak(delay, processes, cause) {
  const ttl = Math.max(5, Math.ceil(delay * 2));
  const oidc = await startOidc({
    accessTokenTtl: cause === 'revoked' ? 86_400 : ttl,
    expiresIn: cause !== 'no-expires-in',
  });
  const directory = await mkdtemp(join(folder, 'store-'));
  await signIn(oidc, directory);
  const workers = await Promise.all(
    Array.from({ length: processes }, () => startWorker({ bundle, directory, url: oidc.resource })),
  );
  await Promise.all(workers.map((one) => one.call()));
  oidc.tokenDelay = delay * 1000;
  const told = {
    delay,
    processes,
    cause,
    rounds,
    failed: 0,
    reuses: 0,
    refreshes: 0,
    extra: 0,
    slowest: 0,
    live: true,
  };
  for (let round = 0; round < rounds; round++) {
    const parallel = processes === 1 ? 50 : 10;
    const kind = cause === 'revoked' ? 'revoked' : 'expired';
    const result = await raceRound({ oidc, workers, parallel, cause: kind, ttl });
    // A token may end again while a round lasts; any refresh beyond that is one too many.
    const allowed = 1 + (kind === 'expired' ? Math.floor(result.milliseconds / (ttl * 900)) : 0);
    told.failed += result.failed.length;
    told.reuses += result.reuses;
    told.refreshes += result.refreshes;
    told.extra += Math.max(0, result.refreshes - allowed);
    told.slowest = Math.max(told.slowest, result.milliseconds);
    if (result.failed.length > 0) console.log(`  round ${round + 1}: ${result.failed.join(' ')}`);
  }
  told.live = await isLive(oidc, directory);
  await Promise.all(workers.map((one) => one.close()));
  await oidc.close();
  console.log(line(told));
  return told;
}

function line({ delay, processes, cause, rounds: count, failed, reuses, refreshes, extra, slowest, live }) {
  return `${delay} s endpoint, ${processes} processes, ${cause}, ${count} rounds: ${failed} failed, ${refreshes} refreshes (${extra} too many), ${reuses} reuses, slowest round ${slowest} ms, stored refresh token ${live ? 'live' : 'DEAD'}`;
}

async function signIn(oidc, directory) {
  const interaction = {
    async show(url) {
      signInAt(url).catch(console.error);
      return 'opened';
    },
    ask: (_question, signal) =>
      new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason))),
    tell() {},
  };
  const servers = { server: { url: oidc.resource, auth: { method: 'oauth' } } };
  const app = await createCountersign({
    plugins: [oauth],
    servers,
    interaction,
    env: {},
    store: fileStore({ directory }),
  });
  await app.login('server');
  await app.close();
}

async function isLive(oidc, directory) {
  for (const name of await readdir(directory)) {
    if (!name.includes('.credential.')) continue;
    const { refreshToken } = JSON.parse(JSON.parse(await readFile(join(directory, name), 'utf8')).value);
    return oidc.isLive(refreshToken);
  }
  return false;
}
