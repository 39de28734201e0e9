import { createHash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { CountersignError, memoryStore, type Countersign, type SecretStore } from '@countersign/core';
import { closeEverything, signInAt, startOidc, type Oidc } from '@countersign/test-servers';
import { call, client, person, storedCredential } from './support.js';

let oidc: Oidc;
let store: SecretStore;
let app: Countersign;
let log: string[];
const open: Countersign[] = [];

async function start(given: SecretStore = store): Promise<Countersign> {
  const made = await client(oidc.resource, { store: given });
  open.push(made.app);
  log = made.log;
  return made.app;
}

async function signIn(): Promise<void> {
  const made = await client(oidc.resource, { store, interaction: person((url) => signInAt(url)) });
  await made.app.login('server');
  await made.app.close();
  oidc.tokenRequests.length = 0;
}

const many = async (count: number): Promise<number[]> =>
  Promise.all(Array.from({ length: count }, () => call(app, oidc.resource)));

afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
});
afterAll(closeEverything);

describe('a refresh token that rotates', () => {
  beforeAll(async () => {
    oidc = await startOidc();
  });
  afterAll(() => oidc.close());
  beforeEach(async () => {
    store = memoryStore();
    oidc.faults.length = 0;
    await signIn();
    app = await start();
  });

  /** The stored refresh token works, and none was shown twice. */
  async function nothingLost(): Promise<void> {
    const { refreshToken, loginRequired } = await storedCredential(store);
    expect(loginRequired).toBeUndefined();
    expect(await oidc.isLive(refreshToken as string)).toBe(true);
  }

  test('fifty requests that meet a revoked token are answered by one refresh', async () => {
    expect(await many(1)).toEqual([200]);
    oidc.revokeAccessTokens();
    expect(new Set(await many(50))).toEqual(new Set([200]));
    expect(oidc.refreshes).toBe(1);
    await nothingLost();
  });

  test('is spent once by two that share the store', async () => {
    const other = await start();
    await Promise.all([call(app, oidc.resource), call(other, oidc.resource)]);
    oidc.revokeAccessTokens();
    expect(await Promise.all([call(app, oidc.resource), call(other, oidc.resource)])).toEqual([200, 200]);
    expect(oidc.refreshes).toBe(1);
    await nothingLost();
  });

  test('survives an endpoint that answers 500 and echoes the request, which nothing of ours repeats', async () => {
    const { refreshToken } = await storedCredential(store);
    oidc.revokeAccessTokens();
    oidc.faults.push(500, 500, 500);
    const error = await call(app, oidc.resource).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'TOKEN_REQUEST_FAILED', status: 500 });
    expect(String((error as Error).message) + log.join()).not.toContain(refreshToken);
    expect(await call(app, oidc.resource)).toBe(200);
    await nothingLost();
  });

  test('is tried again when the endpoint fails once', async () => {
    oidc.revokeAccessTokens();
    oidc.faults.push(500);
    expect(await call(app, oidc.resource)).toBe(200);
    await nothingLost();
  });

  test('is not shown again when the connection breaks after the server acted', async () => {
    oidc.revokeAccessTokens();
    oidc.faults.push('cut');
    await expect(call(app, oidc.resource)).rejects.toMatchObject({
      code: 'LOGIN_REQUIRED',
      message: expect.stringContaining('may be spent'),
    });
    await expect(call(app, oidc.resource)).rejects.toMatchObject({ code: 'LOGIN_REQUIRED' });
    expect(oidc.refreshes).toBe(1);
    expect(oidc.reuses).toBe(0);
    expect(await app.status('server')).toMatchObject({
      state: 'login_required',
      reason: expect.stringContaining('may be spent'),
    });
  });

  test('that the server no longer takes asks for a person, and a sign-in elsewhere mends it', async () => {
    const { refreshToken } = await storedCredential(store);
    await oidc.forget(refreshToken as string);
    oidc.revokeAccessTokens();
    await expect(call(app, oidc.resource)).rejects.toMatchObject({
      code: 'LOGIN_REQUIRED',
      message: expect.stringContaining('invalid_grant'),
    });
    expect((await storedCredential(store))['refreshToken']).toBe(refreshToken); // marked, not deleted
    await signIn();
    expect(await call(app, oidc.resource)).toBe(200);
  });

  test('is not shown by one who finds that another began with it and left no outcome', async () => {
    const [key] = await keysOf(store);
    const { refreshToken } = await storedCredential(store);
    const token = createHash('sha256')
      .update(refreshToken as string)
      .digest('hex');
    await store.update(key?.replace('.credential.', '.intent.') ?? '', async () =>
      JSON.stringify({ id: 'of-a-dead-process', token, at: new Date().toISOString() }),
    );
    oidc.revokeAccessTokens();
    await expect(call(app, oidc.resource)).rejects.toMatchObject({ code: 'LOGIN_REQUIRED' });
    expect(oidc.refreshes).toBe(0);
  });

  test('is kept by /refresh, which gets a new access token', async () => {
    expect(await call(app, oidc.resource)).toBe(200);
    await app.refresh('server');
    expect(await call(app, oidc.resource)).toBe(200);
    expect(oidc.refreshes).toBe(1);
    await nothingLost();
  });

  test('survives a store that cannot be written: the process goes on from memory', async () => {
    let full = false;
    const disk: SecretStore = {
      ...store,
      get: (key) => store.get(key),
      update: (key, change, signal) =>
        store.update(
          key,
          async (current) => {
            const next = await change(current);
            if (full && key.includes('.credential.')) throw new CountersignError('STORE_FAILED', 'The disk is full.');
            return next;
          },
          signal,
        ),
    };
    app = await start(disk);
    expect(await call(app, oidc.resource)).toBe(200);
    full = true;
    oidc.revokeAccessTokens();
    expect(await call(app, oidc.resource)).toBe(200);
    expect(await call(app, oidc.resource)).toBe(200);
    expect(log.join()).toContain('kept in memory');
    full = false;
    oidc.revokeAccessTokens();
    expect(await call(app, oidc.resource)).toBe(200);
    expect(oidc.refreshes).toBe(2);
    await nothingLost();
  });

  test('logout during a refresh waits for it, and wins', async () => {
    oidc.revokeAccessTokens();
    oidc.faults.push({ delay: 300 });
    const begun = new Promise((done) => oidc.events.once('token', done));
    const waiting = call(app, oidc.resource).catch((thrown: unknown) => thrown);
    await begun;
    await app.logout('server');
    await waiting;
    expect(await storedCredential(store)).toEqual({});
    await expect(call(app, oidc.resource)).rejects.toMatchObject({ code: 'LOGIN_REQUIRED' });
  });

  test('survives an endpoint that hangs, when the process gives up and ends', async () => {
    oidc.revokeAccessTokens();
    oidc.faults.push('hang');
    const asked = new Promise((done) => oidc.events.once('token', done));
    const waiting = call(app, oidc.resource, undefined, AbortSignal.timeout(2000)).catch((thrown: unknown) => thrown);
    await asked;
    expect(await waiting).toMatchObject({ name: 'TimeoutError' });
    await app.close();
    app = await start();
    expect(await call(app, oidc.resource)).toBe(200);
    await nothingLost();
  });

  test('is not shown again by the next process, when one ends just after it was asked', async () => {
    oidc.revokeAccessTokens();
    oidc.faults.push({ delay: 1500 });
    const asked = new Promise((done) => oidc.events.once('token', done));
    const waiting = call(app, oidc.resource).catch((thrown: unknown) => thrown);
    await asked;
    await app.close();
    await waiting;
    app = await start();
    await expect(call(app, oidc.resource)).rejects.toMatchObject({ code: 'LOGIN_REQUIRED' });
    expect(oidc.reuses).toBe(0);
  });

  test('is not spent for the farewell of a session', async () => {
    expect(await call(app, oidc.resource)).toBe(200);
    oidc.revokeAccessTokens();
    const response = await app.fetch('server')(oidc.resource, { method: 'DELETE' });
    await response.text();
    expect(response.status).toBe(401);
    expect(oidc.refreshes).toBe(0);
  });

  test('one waiter that gives up does not take the others down', async () => {
    oidc.revokeAccessTokens();
    oidc.faults.push({ delay: 300 });
    const stop = new AbortController();
    const begun = new Promise((done) => oidc.events.once('token', done));
    const impatient = call(app, oidc.resource, undefined, stop.signal).catch((thrown: unknown) => thrown);
    const patient = call(app, oidc.resource);
    await begun;
    stop.abort(new Error('enough'));
    expect(await impatient).toMatchObject({ message: 'enough' });
    expect(await patient).toBe(200);
    await nothingLost();
  });
});

describe('tokens that end', () => {
  afterEach(() => oidc.close());

  test.each([
    ['with expires_in, before they do', true],
    ['without expires_in, when they are refused', false],
  ])('are renewed once, %s', async (_name, expiresIn) => {
    store = memoryStore();
    oidc = await startOidc({ accessTokenTtl: 2, expiresIn });
    await signIn();
    app = await start();
    expect(new Set(await many(5))).toEqual(new Set([200]));
    await new Promise((done) => setTimeout(done, 2100)); // the resource server's own clock decides
    oidc.guard.requests.length = 0;
    expect(new Set(await many(10))).toEqual(new Set([200]));
    expect(oidc.refreshes).toBe(1);
    if (expiresIn) expect(oidc.guard.requests.filter(({ refused }) => refused)).toEqual([]);
  });

  test('without a refresh token ask for a person, and status says why', async () => {
    store = memoryStore();
    oidc = await startOidc({ refreshTokens: false });
    await signIn();
    app = await start();
    expect(await call(app, oidc.resource)).toBe(200);
    expect(await app.status('server')).toMatchObject({
      refreshable: false,
      reason: expect.stringContaining('no refresh token'),
    });
    oidc.revokeAccessTokens();
    await expect(call(app, oidc.resource)).rejects.toMatchObject({ code: 'LOGIN_REQUIRED' });
    expect((await app.status('server')).state).toBe('login_required');
  });
});

async function keysOf(of: SecretStore): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of of.keys('')) if (key.includes('.credential.')) keys.push(key);
  return keys;
}
