import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Countersign } from '@countersign/core';
import { covers } from '../src/resource-metadata.js';
import { wellKnownPlaces } from '../src/server-metadata.js';
import { siteOf, trustedEndpoint } from '../src/trust.js';
import { startFake, visit, type Fake } from './fake.js';
import { call, client, person, type Person } from './support.js';

let fake: Fake;
let app: Countersign;
let browser: Person;

beforeEach(async () => {
  fake = await startFake();
});
afterEach(async () => {
  await app.close();
  await fake.close();
});

async function login(auth: Record<string, unknown> = {}, change?: (callback: URL) => void): Promise<void> {
  browser = person((url) => visit(url, change));
  ({ app } = await client(fake.url, { auth, interaction: browser }));
  await app.login('server');
  await browser.settled();
}

describe('the resource metadata', () => {
  test.each([
    ['of another host', 'https://evil.example/mcp'],
    ['of a path beside the server', '/mc'],
    ['of a path below the server', '/mcp/more'],
    ['that is no URL', 'mcp'],
  ])('%s is refused, and nothing is fetched on its word', async (_name, resource) => {
    fake.prm = { ...fake.prm, resource: resource.startsWith('/') ? fake.origin + resource : resource };
    await expect(login()).rejects.toMatchObject({ code: 'METADATA_INVALID' });
    expect(fake.asked('/.well-known/oauth-authorization-server')).toBe(0);
  });

  test.each([
    [500, 'METADATA_INVALID'],
    [403, 'METADATA_INVALID'],
    [302, 'REDIRECT_REFUSED'],
  ])('that answers %d is an error, not an old server', async (status, code) => {
    fake.handlers['/.well-known/oauth-protected-resource/mcp'] = (_request, response) =>
      response.writeHead(status, { location: 'http://127.0.0.1:9/' }).end('{}');
    await expect(login()).rejects.toMatchObject({ code });
    expect(fake.asked('/register')).toBe(0);
  });

  test.each([
    'http://169.254.169.254/latest',
    'http://[::ffff:7f00:1]/x',
    'http://0x7f.1/x',
    'file:///etc/passwd',
    'javascript:alert(1)',
    'https://elsewhere.example/prm',
  ])('at %s is not fetched', async (place) => {
    fake.challenge = `Bearer resource_metadata="${place}"`;
    await expect(login()).rejects.toMatchObject({ code: 'UNSAFE_URL' });
  });

  test('on another port of this machine sees no connection, until its origin is allowed', async () => {
    const other = await startFake();
    other.prm = { resource: fake.url, authorization_servers: [fake.origin] };
    fake.challenge = `Bearer resource_metadata="${other.origin}/.well-known/oauth-protected-resource/mcp"`;
    const error = await login().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'UNSAFE_URL',
      remedy: expect.stringContaining(`"allowedOrigins": ["${other.origin}"]`),
    });
    expect(other.requests).toEqual([]);
    await app.close();
    await login({ allowedOrigins: [other.origin] });
    await other.close();
  });

  test('may describe a parent of the server, whose value is sent byte for byte', async () => {
    fake.prm = { ...fake.prm, resource: fake.origin };
    await login();
    expect(browser.urls[0]?.searchParams.get('resource')).toBe(fake.origin);
    expect(fake.requests.find(({ path }) => path === '/token')?.form.get('resource')).toBe(fake.origin);
  });
});

describe('the authorization server', () => {
  test('whose issuer differs by a slash is refused', async () => {
    fake.metadata = { ...fake.metadata, issuer: `${fake.origin}/` };
    await expect(login()).rejects.toMatchObject({ code: 'METADATA_INVALID' });
  });

  test.each(['token_endpoint', 'registration_endpoint', 'authorization_endpoint'])(
    'whose %s is on another site is refused, and that site hears nothing',
    async (name) => {
      fake.metadata = { ...fake.metadata, [name]: 'https://tokens.example.net/x' };
      await expect(login()).rejects.toMatchObject({
        code: 'UNSAFE_URL',
        remedy: expect.stringContaining('"allowedOrigins": ["https://tokens.example.net"]'),
      });
      expect(browser.urls).toEqual([]);
    },
  );

  test.each([
    'file:///etc/passwd',
    'javascript:alert(1)',
    'ms-msdt:/id',
    '-flag',
    '$(id)',
    'http://as.example/authorize',
    `https://as.example/${'a'.repeat(65_536)}`,
  ])('whose authorization endpoint is %.40s opens nothing', async (endpoint) => {
    fake.metadata = { ...fake.metadata, authorization_endpoint: endpoint };
    await expect(login({ allowedOrigins: ['https://as.example'] })).rejects.toMatchObject({
      code: expect.stringMatching(/UNSAFE_URL|METADATA_INVALID/),
    });
    expect(browser.urls).toEqual([]);
  });

  test('on a link-local address that a server on this machine names is not asked', async () => {
    fake.prm = { ...fake.prm, authorization_servers: ['https://169.254.169.254'] };
    await expect(login()).rejects.toMatchObject({ code: 'UNSAFE_URL' });
  });

  test('that does not say it does PKCE is refused, unless the configuration says so', async () => {
    delete fake.metadata?.['code_challenge_methods_supported'];
    await expect(login()).rejects.toMatchObject({
      code: 'METADATA_INVALID',
      remedy: expect.stringContaining('"pkce": "assume"'),
    });
    await app.close();
    await login({ pkce: 'assume' });
    expect(browser.urls[0]?.searchParams.get('code_challenge_method')).toBe('S256');
  });

  test('other than the pinned one is refused', async () => {
    await expect(login({ issuer: 'https://as.example' })).rejects.toMatchObject({
      code: 'METADATA_INVALID',
      message: expect.stringContaining('https://as.example'),
    });
  });

  test('without metadata and without resource metadata is a server of 2025-03-26, with default endpoints', async () => {
    fake.prm = undefined;
    fake.metadata = undefined;
    await login();
    expect(await call(app, fake.url)).toBe(200);
  });

  test('endless metadata ends at the cap', async () => {
    let sent = 0;
    fake.handlers['/.well-known/oauth-authorization-server'] = (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const push = (): void => {
        if (response.destroyed) return;
        sent += 65_536;
        response.write(' '.repeat(65_536), () => setImmediate(push));
      };
      push();
    };
    await expect(login()).rejects.toMatchObject({ code: 'TOO_LARGE' });
    expect(sent).toBeLessThan(8 * 1024 * 1024); // what the sockets buffer
  });

  test('a client of no kind gets the name of the setting to give', async () => {
    delete fake.metadata?.['registration_endpoint'];
    await expect(login()).rejects.toMatchObject({
      code: 'LOGIN_FAILED',
      remedy: expect.stringContaining('"clientId"'),
    });
  });

  test('a refused registration is shown with its reason, made harmless', async () => {
    fake.handlers['/register'] = (_request, response) =>
      response
        .writeHead(400)
        .end(JSON.stringify({ error: 'invalid_redirect_uri', error_description: 'no \u001b[31mloopback' }));
    const error = (await login().catch((thrown: unknown) => thrown)) as Error;
    expect(error.message).toContain('invalid_redirect_uri');
    expect(error.message).not.toContain('\u001b');
  });
});

describe('the issuer of an answer (RFC 9207)', () => {
  const supported = { authorization_response_iss_parameter_supported: true };
  test.each([
    ['advertised and right', supported, 'right', true],
    ['advertised and absent', supported, undefined, false],
    ['advertised and wrong', supported, 'https://evil.example', false],
    ['not advertised and absent', {}, undefined, true],
    ['not advertised and right', {}, 'right', true],
    ['not advertised and wrong', {}, 'https://evil.example', false],
    ['equal but for a slash', supported, 'slash', false],
  ])('%s', async (_name, metadata, iss, works) => {
    fake.metadata = { ...fake.metadata, ...metadata };
    const value = iss === 'right' ? fake.origin : iss === 'slash' ? `${fake.origin}/` : iss;
    const signedIn = login({}, (callback) => {
      if (value !== undefined) callback.searchParams.set('iss', value);
      if (!works) callback.searchParams.set('error_description', 'FROM-ELSEWHERE');
    });
    if (works) return signedIn;
    const error = (await signedIn.catch((thrown: unknown) => thrown)) as Error;
    expect(error).toMatchObject({ code: 'LOGIN_FAILED', message: expect.stringContaining('nothing of it was used') });
    expect(error.message).not.toMatch(/FROM-ELSEWHERE|evil/);
    expect(fake.asked('/token')).toBe(0);
  });
});

test('a redirecting token endpoint is not followed', async () => {
  const catcher = await startFake();
  fake.handlers['/token'] = (_request, response) =>
    response.writeHead(307, { location: `${catcher.origin}/token` }).end();
  await expect(login()).rejects.toMatchObject({
    code: 'TOKEN_REQUEST_FAILED',
    message: expect.stringContaining('redirect'),
  });
  expect(catcher.requests).toEqual([]);
  await catcher.close();
});

test('the place of a resource is compared by origin and whole segments', async () => {
  ({ app } = await client(fake.url));
  const server = new URL('https://host.example/a/mcp');
  for (const [resource, expected] of [
    ['https://host.example/a/mcp', true],
    ['https://host.example/a/mcp/', true],
    ['https://host.example/a', true],
    ['https://host.example/', true],
    ['https://host.example', true],
    ['https://host.example/a/mc', false],
    ['https://host.example/a/mcp/x', false],
    ['https://host.example:444/a', false],
    ['http://host.example/a/mcp', false],
    ['https://host.example/a/mcp#x', false],
  ] as const)
    expect([resource, covers(resource, server)]).toEqual([resource, expected]);
});

test('metadata is looked for at the places that MCP lists, in its order', async () => {
  ({ app } = await client(fake.url));
  expect(wellKnownPlaces(new URL('https://as.example/t1')).map(String)).toEqual([
    'https://as.example/.well-known/oauth-authorization-server/t1',
    'https://as.example/.well-known/openid-configuration/t1',
    'https://as.example/t1/.well-known/openid-configuration',
  ]);
  expect(wellKnownPlaces(new URL('https://as.example')).map(String)).toEqual([
    'https://as.example/.well-known/oauth-authorization-server',
    'https://as.example/.well-known/openid-configuration',
  ]);
});

test('a site is a registrable domain, loopback or an address', async () => {
  ({ app } = await client(fake.url));
  for (const [url, site] of [
    ['https://login.example.co.uk', 'example.co.uk'],
    ['https://a.github.io', 'a.github.io'],
    ['https://x.a.github.io', 'a.github.io'],
    ['http://127.8.9.1:1', 'loopback'],
    ['http://[::1]:2', 'loopback'],
    ['https://10.1.2.3:3', '10.1.2.3'],
    ['https://intranet', 'intranet'],
  ] as const)
    expect([url, await siteOf(new URL(url))]).toEqual([url, site]);
});

test('endpoints are trusted on the own site, on those that are known, and on those that are allowed', async () => {
  ({ app } = await client(fake.url));
  const trusted = (issuer: string, endpoint: string, allowed: string[] = []): Promise<boolean> =>
    trustedEndpoint(endpoint, 'The token endpoint', new URL(issuer), allowed).then(
      () => true,
      () => false,
    );
  const cognito = 'https://cognito-idp.us-east-1.amazonaws.com/us-east-1_abc';
  for (const [issuer, endpoint, allowed, expected] of [
    ['https://accounts.google.com', 'https://oauth2.googleapis.com/token', [], true],
    ['https://accounts.google.com.evil.example', 'https://oauth2.googleapis.com/token', [], false],
    [cognito, 'https://shop.auth.us-east-1.amazoncognito.com/oauth2/token', [], true],
    [cognito, 'https://evilamazoncognito.com/token', [], false],
    ['https://login.example.com', 'https://tokens.example.com/token', [], true],
    ['https://a.github.io', 'https://b.github.io/token', [], false],
    ['https://a.example', 'https://b.example/token', [], false],
    ['https://a.example', 'https://b.example/token', ['https://b.example'], true],
    ['https://a.example', 'http://a.example/token', [], false],
    ['https://a.example', 'https://user@a.example/token', [], false],
  ] as const)
    expect([issuer, endpoint, await trusted(issuer, endpoint, [...allowed])]).toEqual([issuer, endpoint, expected]);
});
