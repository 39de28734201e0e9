import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { fileStore } from '@countersign/core';
import { closeEverything, signInAt, startOidc, type Oidc } from '@countersign/test-servers';
import { bundleClient, raceRound, startWorker, type Worker } from '@countersign/test-servers/refresh-race';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { client, person, storedCredential } from './support.js';

let folder: string;
let bundle: string;
let directory: string;
let oidc: Oidc;
let workers: Worker[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'refresh-processes-'));
  bundle = join(folder, 'client.mjs');
  bundleClient(bundle);
});
beforeEach(async () => {
  directory = await mkdtemp(join(folder, 'store-'));
});
afterEach(async () => {
  await Promise.all(workers.map((one) => one.close()));
  workers = [];
  await oidc.close();
});
afterAll(async () => {
  await closeEverything();
  await rm(folder, { recursive: true, force: true });
});

async function setup(count: number, options: Parameters<typeof startOidc>[0] = {}): Promise<void> {
  oidc = await startOidc(options);
  await signIn();
  workers = await Promise.all(
    Array.from({ length: count }, () => startWorker({ bundle, directory, url: oidc.resource })),
  );
  for (const one of workers) expect(await one.call()).toEqual([200]);
  oidc.tokenRequests.length = 0;
}

async function signIn(): Promise<void> {
  const { app } = await client(oidc.resource, {
    store: fileStore({ directory }),
    auth: { callbackPort: undefined },
    interaction: person((url) => signInAt(url)),
  });
  await app.login('server');
  await app.close();
}

async function nothingLost(): Promise<void> {
  const { refreshToken, loginRequired } = await storedCredential(fileStore({ directory }));
  expect(loginRequired).toBeUndefined();
  expect(await oidc.isLive(refreshToken as string)).toBe(true);
  expect((await readdir(directory)).filter((name) => !name.endsWith('.json'))).toEqual([]); // no lock, no temporary file
}

test.each([
  ['five processes with ten requests each meet a revoked token', 5, 10, 'revoked', {}],
  ['twenty processes meet a revoked token', 20, 1, 'revoked', {}],
  ['five processes meet an expired token', 5, 5, 'expired', { accessTokenTtl: 3 }],
  [
    'five processes meet an expired token that had no expires_in',
    5,
    5,
    'expired',
    { accessTokenTtl: 3, expiresIn: false },
  ],
] as const)(
  '%s: all are answered by one refresh, three times',
  async (_name, count, parallel, cause, options) => {
    await setup(count, { ...options, tokenDelay: 200 });
    for (let round = 0; round < 3; round++) {
      const told = await raceRound({ oidc, workers, parallel, cause, ttl: 3 });
      expect(told).toMatchObject({ failed: [], reuses: 0 });
      // One for each end of a token: on a loaded machine a short one ends again while the round lasts.
      const ends = cause === 'expired' ? Math.floor(told.milliseconds / 2700) : 0;
      expect(told.refreshes).toBeGreaterThanOrEqual(1);
      expect(told.refreshes).toBeLessThanOrEqual(1 + ends);
    }
    await nothingLost();
  },
  120_000,
);

test('a holder that is killed before it spends the token is followed by another', async () => {
  await setup(2);
  const [first, second] = workers as [Worker, Worker];
  oidc.revokeAccessTokens();
  const claiming = first.pause();
  first.call().catch(() => undefined);
  await claiming;
  first.kill('SIGKILL');
  expect(await second.call()).toEqual([200]);
  expect(oidc.refreshes).toBe(1);
  expect(oidc.reuses).toBe(0);
  await nothingLost();
}, 60_000);

test('a holder that is stopped for long is followed by another, and spends and overwrites nothing when it goes on', async () => {
  await setup(2);
  const [first, second] = workers as [Worker, Worker];
  oidc.revokeAccessTokens();
  const claiming = first.pause();
  const late = first.call();
  await claiming;
  first.kill('SIGSTOP');
  expect(await second.call()).toEqual([200]);
  const { refreshToken } = await storedCredential(fileStore({ directory }));
  first.go();
  first.kill('SIGCONT');
  expect(await late).toEqual([200]);
  expect((await storedCredential(fileStore({ directory })))['refreshToken']).toBe(refreshToken);
  expect(oidc.refreshes).toBe(1);
  expect(oidc.reuses).toBe(0);
  await nothingLost();
}, 60_000);

test('a holder that is killed after it spent the token leaves one clear LOGIN_REQUIRED, and a sign-in mends it', async () => {
  await setup(3);
  const [first, ...others] = workers as [Worker, Worker, Worker];
  oidc.revokeAccessTokens();
  oidc.faults.push('hang');
  const asked = new Promise((done) => oidc.events.once('token', done));
  first.call().catch(() => undefined);
  await asked;
  first.kill('SIGKILL');
  expect((await Promise.all(others.map((one) => one.call()))).flat()).toEqual(['LOGIN_REQUIRED', 'LOGIN_REQUIRED']);
  expect(oidc.refreshes).toBe(1);
  expect(oidc.reuses).toBe(0);
  expect(await storedCredential(fileStore({ directory }))).toMatchObject({
    loginRequired: expect.stringContaining('may be spent'),
  });
  await signIn();
  expect((await Promise.all(others.map((one) => one.call()))).flat()).toEqual([200, 200]);
}, 60_000);
