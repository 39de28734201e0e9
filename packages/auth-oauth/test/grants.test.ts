import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { memoryStore, type Countersign, type LoginEvent } from '@countersign/core';
import {
  closeEverything,
  createAuthority,
  signInAt,
  startGuard,
  startOidc,
  type Oidc,
} from '@countersign/test-servers';
import { exportJWK, exportPKCS8, generateKeyPair } from 'jose';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startFake } from './fake.js';
import { call, client, person, storedCredential } from './support.js';

const closers: (() => unknown)[] = [];
let oidc: Oidc;

async function oidcWith(options: Parameters<typeof startOidc>[0]): Promise<Oidc> {
  oidc = await startOidc(options);
  closers.push(() => oidc.close());
  return oidc;
}
async function fakeServer() {
  const fake = await startFake();
  closers.push(() => fake.close());
  return fake;
}
async function start(
  url: string,
  auth: Record<string, unknown>,
  options: Parameters<typeof client>[1] = {},
): Promise<{ app: Countersign; log: string[] }> {
  const made = await client(url, { ...options, auth });
  closers.push(() => made.app.close());
  return made;
}
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});
afterAll(closeEverything);

const machine = (method: string, more: object = {}) => ({
  client_id: 'machine-id.with~odd*chars',
  client_secret: 'secret+with/odd:chars and more',
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
  token_endpoint_auth_method: method,
  ...more,
});

describe('client credentials at oidc-provider', () => {
  test.each(['client_secret_basic', 'client_secret_post'])(
    'by %s, one token for fifty requests, none stored',
    async (method) => {
      await oidcWith({ clients: [machine(method)] });
      const store = memoryStore();
      const { client_id: clientId, client_secret: clientSecret } = machine(method);
      const { app } = await start(
        oidc.resource,
        { grant: 'client_credentials', clientId, clientSecret, tokenEndpointAuthMethod: method },
        { store },
      );
      const statuses = await Promise.all(Array.from({ length: 50 }, () => call(app, oidc.resource)));
      expect(new Set(statuses)).toEqual(new Set([200]));
      expect(oidc.tokenRequests).toHaveLength(1);
      expect(oidc.tokenRequests[0]?.body.get('resource')).toBe(oidc.resource);
      expect(await storedCredential(store)).toEqual({});
      oidc.revokeAccessTokens();
      expect(await call(app, oidc.resource)).toBe(200);
      expect(oidc.tokenRequests).toHaveLength(2);
      expect(await app.status('server')).toMatchObject({ state: 'ready', principal: clientId });
    },
  );

  test.each(['PEM', 'JWK', 'file'])('by private_key_jwt with a key as %s', async (form) => {
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
    const jwks = { keys: [{ ...(await exportJWK(publicKey)), alg: 'ES256', use: 'sig' }] };
    await oidcWith({
      clients: [
        machine('private_key_jwt', { client_secret: undefined, jwks, token_endpoint_auth_signing_alg: 'ES256' }),
      ],
    });
    const pem = await exportPKCS8(privateKey);
    const folder = await mkdtemp(join(tmpdir(), 'oauth-key-'));
    closers.push(() => rm(folder, { recursive: true }));
    await writeFile(join(folder, 'key.pem'), pem);
    const key =
      form === 'PEM'
        ? { privateKey: pem }
        : form === 'JWK'
          ? { privateKey: JSON.stringify(await exportJWK(privateKey)) }
          : { privateKeyFile: join(folder, 'key.pem') };
    const { app } = await start(oidc.resource, {
      grant: 'client_credentials',
      clientId: machine('').client_id,
      ...key,
    });
    expect(await call(app, oidc.resource)).toBe(200);
  });

  test('a wrong secret is told by its code, and not repeated', async () => {
    await oidcWith({ clients: [machine('client_secret_basic')] });
    const { app } = await start(oidc.resource, {
      grant: 'client_credentials',
      clientId: machine('').client_id,
      clientSecret: 'a-wrong-secret',
    });
    const error = (await call(app, oidc.resource).catch((thrown: unknown) => thrown)) as Error;
    expect(error).toMatchObject({ code: 'TOKEN_REQUEST_FAILED', message: expect.stringContaining('invalid_client') });
    expect(error.message).not.toContain('a-wrong-secret');
  });

  test('a broken key says which option is wrong, and nothing of it', async () => {
    await oidcWith({ clients: [machine('private_key_jwt', { client_secret: undefined, jwks: { keys: [] } })] });
    const { app } = await start(oidc.resource, {
      grant: 'client_credentials',
      clientId: 'x',
      privateKey: '-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----',
    });
    const error = (await call(app, oidc.resource).catch((thrown: unknown) => thrown)) as Error;
    expect(error).toMatchObject({ code: 'AUTH_OPTIONS_INVALID', message: expect.stringContaining('privateKey') });
    expect(error.message).not.toContain('nonsense');
  });
});

test('client credentials without discovery ask the endpoint that is configured, and nothing else', async () => {
  const fake = await fakeServer();
  const { app } = await start(fake.url, {
    grant: 'client_credentials',
    clientId: 'id',
    clientSecret: 'the-secret-of-the-client',
    tokenEndpoint: `${fake.origin}/token`,
    scope: 'a b',
  });
  expect(await call(app, fake.url)).toBe(200);
  expect(fake.requests.map(({ path }) => path)).toEqual(['/token', '/mcp']);
  expect(fake.requests[0]?.form.get('scope')).toBe('a b');
});

describe('DPoP', () => {
  test.each([false, true])('binds tokens to a key and proves it with each request (nonces: %s)', async (dpopNonce) => {
    await oidcWith({ dpop: true, dpopNonce });
    const store = memoryStore();
    const { app } = await start(oidc.resource, {}, { store, interaction: person((url) => signInAt(url)) });
    for (let n = 0; n < 3; n++) expect(await call(app, oidc.resource)).toBe(200);
    const proofs = oidc.guard.requests.flatMap(({ headers }) => headers['dpop'] ?? []);
    expect(new Set(proofs).size).toBe(proofs.length);
    if (dpopNonce) {
      oidc.nonce = 'resource-nonce-2';
      expect(await call(app, oidc.resource)).toBe(200);
    }
    // The key is stored with the tokens: another process refreshes and goes on with it.
    oidc.revokeAccessTokens();
    const other = await start(oidc.resource, {}, { store });
    expect(await call(other.app, oidc.resource)).toBe(200);
    expect(await storedCredential(store)).toMatchObject({ tokenType: 'DPoP' });
  });
});

describe('the device flow', () => {
  test('tells the address and the code as the server gave them, and polls until the person is done', async () => {
    await oidcWith({});
    const base = person();
    const device = {
      ...base,
      prefer: 'device' as const,
      tell: (event: LoginEvent) => {
        base.tell(event);
        if (event.type === 'device') void signInAt(new URL(event.verificationUriComplete ?? ''));
      },
    };
    const { app } = await start(oidc.resource, {});
    await app.login('server', { interaction: device });
    expect(device.events).toContainEqual(
      expect.objectContaining({
        type: 'device',
        verificationUri: `${oidc.issuer}/device`,
        userCode: expect.stringMatching(/^[A-Z0-9-]+$/),
      }),
    );
    expect(await call(app, oidc.resource)).toBe(200);
    oidc.revokeAccessTokens();
    expect(await call(app, oidc.resource)).toBe(200); // refreshed
  }, 30_000);

  test('a server without one says what to do instead', async () => {
    const fake = await fakeServer();
    const { app } = await start(fake.url, { grant: 'device_code' });
    await expect(app.login('server', { interaction: person() })).rejects.toMatchObject({
      code: 'LOGIN_FAILED',
      remedy: expect.stringContaining('--no-browser'),
    });
  });
});

describe('a JWT that is given', () => {
  test('is presented once; when it is rejected it is not tried again, nor any other way', async () => {
    const fake = await fakeServer();
    fake.token = { status: 400, body: { error: 'invalid_grant', error_description: 'expired' } };
    const { app } = await start(fake.url, {
      grant: 'jwt_bearer',
      clientId: 'workload',
      assertion: 'header.payload.signature',
    });
    for (let n = 0; n < 2; n++)
      await expect(call(app, fake.url)).rejects.toMatchObject({
        code: 'TOKEN_REQUEST_FAILED',
        message: expect.stringContaining('invalid_grant'),
      });
    const asked = fake.requests.filter(({ path }) => path === '/token');
    expect(asked).toHaveLength(1);
    expect(asked[0]?.form.get('grant_type')).toBe('urn:ietf:params:oauth:grant-type:jwt-bearer');
    expect(asked[0]?.form.get('assertion')).toBe('header.payload.signature');
  });
});

test('an enterprise identity provider vouches: its token is exchanged for one that the server takes', async () => {
  const [fake, idp] = [await fakeServer(), await fakeServer()];
  idp.token = {
    body: { access_token: 'id-jag', issued_token_type: 'urn:ietf:params:oauth:token-type:id-jag', token_type: 'N_A' },
  };
  const { app } = await start(fake.url, {
    grant: 'enterprise_managed',
    clientId: 'orders',
    clientSecret: 'secret-of-orders',
    idp: { issuer: idp.origin, clientId: 'corp', clientSecret: 'secret-of-corp', idToken: 'id.token.of-alice' },
  });
  expect(await call(app, fake.url)).toBe(200);
  const [exchange] = idp.requests.filter(({ path }) => path === '/token');
  expect(Object.fromEntries(exchange?.form ?? [])).toMatchObject({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    requested_token_type: 'urn:ietf:params:oauth:token-type:id-jag',
    audience: fake.origin,
    resource: fake.url,
    subject_token: 'id.token.of-alice',
    subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
  });
  expect(fake.requests.find(({ path }) => path === '/token')?.form.get('assertion')).toBe('id-jag');
});

test('a client certificate authenticates at the token endpoint, at its alias for mutual TLS', async () => {
  const authority = await createAuthority();
  closers.push(() => authority.close());
  const seen: unknown[] = [];
  const json = (status: number, body: unknown, headers = {}) => ({
    status,
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  const guard = await startGuard({
    tls: { authority, clientCertificates: 'asked' },
    verify: (head) => {
      const { origin } = guard;
      if (head.path.startsWith('/.well-known/oauth-protected-resource'))
        return json(200, { resource: `${origin}/mcp`, authorization_servers: [origin] });
      if (head.path.startsWith('/.well-known'))
        return json(200, {
          issuer: origin,
          token_endpoint: `${origin}/token`,
          mtls_endpoint_aliases: { token_endpoint: `${origin}/mtls/token` },
          token_endpoint_auth_methods_supported: ['tls_client_auth'],
        });
      if (head.path.startsWith('/mtls/token')) {
        seen.push(head.certificate?.subject.CN);
        return json(200, { access_token: 'bound-token', token_type: 'Bearer' });
      }
      return head.headers.authorization === 'Bearer bound-token'
        ? json(200, {})
        : json(401, {}, { 'www-authenticate': 'Bearer' });
    },
  });
  closers.push(() => guard.close());
  const certificate = await authority.client('orders-client');
  const { app } = await start(
    `${guard.origin}/mcp`,
    { grant: 'client_credentials', clientId: 'orders-client' },
    { server: { ca: authority.caFile, clientCert: certificate.certFile, clientKey: certificate.keyFile } },
  );
  expect(await call(app, `${guard.origin}/mcp`)).toBe(200);
  expect(seen).toEqual(['orders-client']);
});

describe('what a token answer says', () => {
  test.each([
    ['3600', true],
    [-1, false],
    [1e308, false],
    ['soon', false],
    [undefined, false],
    [null, false],
  ])('of its life: expires_in %p', async (expiresIn, known) => {
    const fake = await fakeServer();
    fake.token = { body: { access_token: 'access-token-1', token_type: 'bearer', expires_in: expiresIn } };
    const { app } = await start(fake.url, {
      grant: 'client_credentials',
      clientId: 'x',
      tokenEndpoint: `${fake.origin}/token`,
    });
    for (let n = 0; n < 2; n++) expect(await call(app, fake.url)).toBe(200);
    expect(fake.asked('/token')).toBe(1);
    expect((await app.status('server')).expiresAt !== undefined).toBe(known);
  });

  test('an error in a 200, as GitHub and Slack answer, is an error', async () => {
    const fake = await fakeServer();
    fake.token = { body: { error: 'bad_verification_code', error_description: 'The code is incorrect.' } };
    const { app } = await start(fake.url, {
      grant: 'client_credentials',
      clientId: 'x',
      tokenEndpoint: `${fake.origin}/token`,
    });
    await expect(call(app, fake.url)).rejects.toMatchObject({
      code: 'TOKEN_REQUEST_FAILED',
      message: expect.stringContaining('bad_verification_code'),
    });
  });

  test('nothing, when it is not there: the error says whether the server could be reached', async () => {
    const fake = await fakeServer();
    const { app } = await start(fake.url, {
      grant: 'client_credentials',
      clientId: 'x',
      tokenEndpoint: 'http://127.0.0.1:9/token',
    });
    await expect(call(app, fake.url)).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });
});
