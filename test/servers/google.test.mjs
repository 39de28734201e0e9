import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { SignJWT } from 'jose';
import { createGoogle } from './google.mjs';

const NOW = Date.parse('2026-01-01T12:00:00Z');
const AUDIENCE = 'https://tools.run.app';

/** @type {import('./google.mjs').Google} */
let google;
let time = NOW;
beforeAll(async () => {
  google = await createGoogle({ clock: () => time });
});
afterEach(() => {
  time = NOW;
  google.reset();
});

/** @param {string} path @param {{ form?: Record<string, string>, json?: unknown, headers?: Record<string, string> }} [request] */
async function ask(path, { form, json, headers = {} } = {}) {
  const body = form ? new URLSearchParams(form).toString() : json === undefined ? '' : JSON.stringify(json);
  const head = { method: body ? 'POST' : 'GET', path, headers };
  const answer = await google.endpoints(/** @type {any} */ (head), Buffer.from(body));
  return {
    status: answer?.status,
    data: JSON.parse(/^\s*\{/.test(String(answer?.body)) ? String(answer?.body) : '{}'),
    text: String(answer?.body),
  };
}

/** @param {ReturnType<typeof google.idToken>} verify @param {string} token */
const shown = async (verify, token) =>
  (await verify(/** @type {any} */ ({ headers: { authorization: `Bearer ${token}` } }), Buffer.alloc(0)))?.status ??
  200;

describe("a service account's assertion", () => {
  const claims = { aud: 'https://oauth2.googleapis.com/token', scope: 'a', iat: NOW / 1000, exp: NOW / 1000 + 3600 };
  const grant = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

  test.each([
    ['good', {}, 200],
    ['for another audience', { aud: 'https://evil.example' }, 400],
    ['from another account', { iss: 'nobody@example.com' }, 400],
    ['too long', { exp: NOW / 1000 + 3601 }, 400],
    ['from the future', { iat: NOW / 1000 + 600, exp: NOW / 1000 + 4200 }, 400],
    ['expired', { iat: NOW / 1000 - 7200, exp: NOW / 1000 - 3600 }, 400],
    ['without a scope', { scope: undefined }, 400],
  ])('that is %s is answered %s', async (_, changes, expected) => {
    const { client_email: iss, private_key } = await google.serviceAccount();
    const assertion = await new SignJWT(/** @type {any} */ ({ iss, ...claims, ...changes }))
      .setProtectedHeader({ alg: 'RS256' })
      .sign(createPrivateKey(private_key));
    expect((await ask('/token', { form: { grant_type: grant, assertion } })).status).toBe(expected);
  });

  test('by another key is refused', async () => {
    const { client_email: iss } = await google.serviceAccount();
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const assertion = await new SignJWT({ iss, ...claims }).setProtectedHeader({ alg: 'RS256' }).sign(privateKey);
    expect(await ask('/token', { form: { grant_type: grant, assertion } })).toMatchObject({
      status: 400,
      data: { error: 'invalid_grant', error_description: 'Invalid JWT Signature.' },
    });
  });
});

test('the metadata server wants its header', async () => {
  const path = '/computeMetadata/v1/instance/service-accounts/default/token';
  expect((await ask(path)).status).toBe(403);
  expect((await ask(path, { headers: { 'metadata-flavor': 'Google' } })).data).toMatchObject({
    expires_in: 3600,
    token_type: 'Bearer',
  });
});

test('the guards take what is issued for them, and nothing else', async () => {
  const identity = `/computeMetadata/v1/instance/service-accounts/default/identity?audience=${encodeURIComponent(AUDIENCE)}`;
  const { text: id } = await ask(identity, { headers: { 'metadata-flavor': 'Google' } });
  const { data } = await ask(
    '/computeMetadata/v1/instance/service-accounts/default/token?scopes=https://www.googleapis.com/auth/cloud-platform',
    { headers: { 'metadata-flavor': 'Google' } },
  );
  expect(await shown(google.idToken(AUDIENCE, { email: google.email }), id)).toBe(200);
  expect(await shown(google.accessToken(), data.access_token)).toBe(200);
  expect(await shown(google.accessToken(), id)).toBe(401);
  expect(await shown(google.idToken(AUDIENCE), data.access_token)).toBe(401);
  expect(await shown(google.idToken('https://other.run.app'), id)).toBe(401);
  expect(await shown(google.idToken(AUDIENCE, { email: 'other@example.com' }), id)).toBe(403);
  expect(
    await shown(google.accessToken({ scope: 'https://www.googleapis.com/auth/bigquery' }), data.access_token),
  ).toBe(403);
  time += 3_601_000;
  expect(await shown(google.idToken(AUDIENCE), id)).toBe(401);
});

test('a refresh token is good for its client, until it is revoked', async () => {
  const { client_id, client_secret, refresh_token } = google.user();
  const form = { grant_type: 'refresh_token', client_id, client_secret, refresh_token };
  expect((await ask('/token', { form })).status).toBe(200);
  expect((await ask('/token', { form: { ...form, client_secret: 'wrong' } })).status).toBe(401);
  google.revoke(refresh_token);
  expect((await ask('/token', { form })).data).toMatchObject({ error: 'invalid_grant' });
});

test('impersonation wants an access token, and an account that is open to it', async () => {
  const path = '/v1/projects/-/serviceAccounts/target@example.com:generateIdToken';
  expect((await ask(path, { json: { audience: AUDIENCE } })).status).toBe(401);
  const { data } = await ask('/computeMetadata/v1/instance/service-accounts/default/token', {
    headers: { 'metadata-flavor': 'Google' },
  });
  const headers = { authorization: `Bearer ${data.access_token}` };
  const answer = await ask(path, { json: { audience: AUDIENCE }, headers });
  expect(await shown(google.idToken(AUDIENCE, { email: 'target@example.com' }), answer.data.token)).toBe(200);
  google.settings.closed.add('target@example.com');
  expect((await ask(path, { json: { audience: AUDIENCE }, headers })).status).toBe(403);
});
