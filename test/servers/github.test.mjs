import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { SignJWT } from 'jose';
import { createGitHub } from './github.mjs';

const NOW = Date.parse('2026-01-01T12:00:00Z');

/** @type {import('./github.mjs').GitHub} */
let github;
/** @type {{ id: number, clientId: string, privateKey: string }} */
let app;
let time = NOW;
beforeAll(async () => {
  github = await createGitHub({ clock: () => time });
  app = await github.app('robot', 7);
});
afterEach(() => {
  time = NOW;
  github.reset();
});

const install = (more = {}) =>
  github.install({
    id: 9,
    account: 'example',
    app: 'robot',
    permissions: { contents: 'read' },
    repositories: ['site'],
    ...more,
  });

/** @param {string} path @param {{ token?: string, json?: unknown, form?: Record<string, string> }} [request] */
async function ask(path, { token, json, form } = {}) {
  const body = form ? new URLSearchParams(form).toString() : json === undefined ? '' : JSON.stringify(json);
  const head = {
    method: body ? 'POST' : 'GET',
    path,
    headers: { 'user-agent': 'test', ...(token ? { authorization: `Bearer ${token}` } : {}) },
  };
  const answer = await github.api(/** @type {any} */ (head), Buffer.from(body));
  return { status: answer?.status, data: JSON.parse(String(answer?.body ?? '{}')) };
}

const jwt = (changes = {}, key = createPrivateKey(app.privateKey), alg = 'RS256') =>
  new SignJWT({ iss: String(app.id), iat: NOW / 1000 - 30, exp: NOW / 1000 + 570, ...changes })
    .setProtectedHeader({ alg })
    .sign(key);

/** @param {string} token @param {Parameters<typeof github.mcp>[0]} [needs] @param {string} [scheme] */
const shown = async (token, needs, scheme = 'Bearer') =>
  (await github.mcp(needs)(/** @type {any} */ ({ headers: { authorization: `${scheme} ${token}` } }), Buffer.alloc(0)))
    ?.status ?? 200;

describe("an App's JWT", () => {
  test.each([
    ['good', {}, 200, undefined],
    ['by client id', { iss: 'Iv23lirobot' }, 200, undefined],
    ['of an unknown App', { iss: '8' }, 401, 'Integration not found'],
    ['from the future', { iat: NOW / 1000 + 60 }, 401, 'Issued at'],
    ['expired', { exp: NOW / 1000 - 1 }, 401, 'Expiration time'],
    ['longer than ten minutes', { exp: NOW / 1000 + 601 }, 401, 'too far in the future'],
  ])('that is %s is answered as GitHub does', async (_, changes, status, message) => {
    expect(await ask('/app', { token: await jwt(changes) })).toMatchObject({
      status,
      data: message ? { message: expect.stringContaining(message) } : { slug: 'robot' },
    });
  });

  test('by another key, or none, is refused', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    for (const token of [
      await jwt({}, privateKey),
      await jwt({}, createPrivateKey(app.privateKey), 'RS512'),
      'nothing',
    ])
      expect(await ask('/app', { token })).toMatchObject({
        status: 401,
        data: { message: 'A JSON web token could not be decoded' },
      });
    expect((await ask('/app')).status).toBe(401);
  });
});

describe('an installation token', () => {
  const path = '/app/installations/9/access_tokens';

  test('narrows, and ends', async () => {
    install();
    const { status, data } = await ask(path, {
      token: await jwt(),
      json: { permissions: { contents: 'read' }, repositories: ['site'] },
    });
    expect([status, data.expires_at, data.repository_selection]).toEqual([201, '2026-01-01T13:00:00Z', 'selected']);
    expect(await shown(data.token, { permission: ['contents', 'read'], repository: 'site' })).toBe(200);
    expect(await shown(data.token, { permission: ['contents', 'write'] })).toBe(403);
    expect(await shown(data.token, { repository: 'docs' })).toBe(404);
    expect(await shown(data.token, {}, 'token')).toBe(401);
    time += 3_600_000;
    expect(await shown(data.token)).toBe(401);
  });

  test.each([
    ['permissions that it has not', {}, { permissions: { contents: 'write' } }, 422],
    ['repositories that it has not', {}, { repositories: ['docs'] }, 422],
    ['anything while it is suspended', { suspended: true }, {}, 403],
    ['another installation', { id: 10 }, {}, 404],
    ["another App's installation", { app: 'other' }, {}, 404],
  ])('for %s is refused', async (_, more, json, status) => {
    install(more);
    expect((await ask(path, { token: await jwt(), json })).status).toBe(status);
  });
});

test('a rate limit names its reset', () => {
  expect(github.limited(429, 60)).toMatchObject({
    status: 429,
    headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(NOW / 1000 + 60) },
  });
});

test('the device flow waits for the person, and a refresh token is spent once', async () => {
  github.settings.expiring = true;
  const { data: code } = await ask('/login/device/code', { form: { client_id: app.clientId } });
  const poll = {
    client_id: app.clientId,
    device_code: code.device_code,
    grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
  };
  expect((await ask('/login/oauth/access_token', { form: poll })).data.error).toBe('authorization_pending');
  github.enter(code.user_code);
  const { data: signIn } = await ask('/login/oauth/access_token', { form: poll });
  expect((await ask('/user', { token: signIn.access_token })).data.login).toBe('ada');
  const renewal = { client_id: app.clientId, grant_type: 'refresh_token', refresh_token: signIn.refresh_token };
  expect((await ask('/login/oauth/access_token', { form: renewal })).data.access_token).toMatch(/^ghu_/);
  expect((await ask('/login/oauth/access_token', { form: renewal })).data.error).toBe('bad_refresh_token');
});
