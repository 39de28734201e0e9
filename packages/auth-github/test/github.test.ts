import { readdir, readFile } from 'node:fs/promises';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { memoryStore, type Countersign } from '@countersign/core';
import stdio from '@countersign/transport-stdio';
import github from '../src/index.js';
import { movedClock, person, post, startWorld, type World } from './support.js';

const COM = 'https://api.githubcopilot.com/mcp/';
const ENTERPRISE = 'https://github.corp.example/mcp';
const OCTO = 'https://copilot-api.octo.ghe.com/mcp';

jest.setTimeout(30_000); // dozens of TLS connections on a busy machine

let world: World;
let app: Countersign;
let key: { id: number; clientId: string; privateKey: string };
beforeAll(async () => {
  world = await startWorld();
  key = await world.com.app('robot', 7);
});
afterEach(async () => {
  await app?.close();
  world.reset();
});
afterAll(() => world.close());

async function call(name = 'x', url = COM): Promise<number> {
  const response = await app.fetch(name)(url, post);
  await response.arrayBuffer();
  return response.status;
}
/** As a client of MCP does, whose transport tells a refusal as an error. */
async function connect(name = 'x'): Promise<void> {
  const transport = await app.transport(name);
  await transport.start();
  try {
    await transport.send({ jsonrpc: '2.0', id: 1, method: 'tools/list' } as never);
  } finally {
    await transport.close();
  }
}
const sent = (at = -1) => world.calls().at(at)?.headers ?? {};
const installation = (more = {}) => ({
  id: 9,
  account: 'example',
  app: 'robot',
  permissions: { contents: 'write', issues: 'read' },
  repositories: ['site', 'docs'],
  ...more,
});
const robot = (more = {}) => ({ method: 'github', appId: key.id, privateKey: '${APP_KEY}', ...more });
const env = (more = {}) => ({ APP_KEY: key.privateKey, ...more });

describe("an App's installation token", () => {
  beforeEach(() => world.com.install(installation()));

  test('is sent as a bearer, one for fifty at once', async () => {
    app = await world.open({ x: { url: COM, auth: robot() } }, env());
    const previews = await Promise.all(Array.from({ length: 50 }, () => app.preview('x')));
    expect(
      new Set(previews.map(({ headers }) => headers.find(({ name }) => name === 'authorization')?.value)).size,
    ).toBe(1);
    expect(await call()).toBe(200);
    expect(world.com.issued).toHaveLength(1);
    expect(sent().authorization).toMatch(/^Bearer ghs_/);
  });

  test.each([
    ['by its id', { installationId: 9 }, []],
    ['by an id in a text', { installationId: '9' }, []],
    ['by its organisation', { owner: 'example' }, ['/orgs/example/installation']],
    ['by a repository', { repository: 'example/site' }, ['/repos/example/site/installation']],
    ['as the only one', {}, ['/app/installations?per_page=100']],
  ])('is of the installation that is found %s', async (_, options, lookups) => {
    app = await world.open({ x: { url: COM, auth: robot(options) } }, env());
    expect(await call()).toBe(200);
    expect(world.asked()).toEqual([
      ...lookups.map((path) => `GET api.github.com${path}`),
      'POST api.github.com/app/installations/9/access_tokens',
    ]);
  });

  test('narrows to permissions and repositories', async () => {
    world.guardWith(world.com.mcp({ permission: ['contents', 'read'], repository: 'site' }));
    app = await world.open(
      { x: { url: COM, auth: robot({ permissions: { contents: 'read' }, repositories: ['example/site'] }) } },
      env(),
    );
    expect(await call()).toBe(200);
    expect(world.com.issued[0]).toMatchObject({ permissions: { contents: 'read' }, repositories: ['site'] });
    expect(await app.status('x')).toMatchObject({
      state: 'ready',
      scopes: ['contents:read'],
      source: 'GitHub App 7, installation 9',
      expiresAt: expect.any(Date),
    });
  });

  test('takes the key from a file, and the client id for the App', async () => {
    const privateKeyFile = await world.file(key.privateKey);
    app = await world.open({ x: { url: COM, auth: { method: 'github', appId: key.clientId, privateKeyFile } } });
    expect(await call()).toBe(200);
  });

  test('ends with its own expiry: renewed without a failed call, never sent expired', async () => {
    const time = movedClock();
    app = await world.open({ x: { url: COM, auth: robot() } }, env(), { clock: time.clock });
    expect(await call()).toBe(200);
    world.com.settings.lifetime = 7200; // GitHub's clock stands, ours goes on
    time.advance(3_600_000);
    expect(await call()).toBe(200);
    expect(world.com.issued).toHaveLength(2);
    expect(world.calls().map(({ status }) => status)).toEqual([200, 200]);
  });

  test('of a short life is renewed by its expiry, not after 59 minutes', async () => {
    world.com.settings.lifetime = 60;
    const time = movedClock();
    app = await world.open({ x: { url: COM, auth: robot() } }, env(), { clock: time.clock });
    await call();
    const first = sent().authorization;
    time.advance(61_000);
    await call();
    expect(sent().authorization).not.toBe(first);
  });

  test.each([600_000, -600_000, 3_600_000])('is minted with a clock that is %i ms off', async (skew) => {
    app = await world.open({ x: { url: COM, auth: robot({ installationId: 9 }) } }, env(), {
      clock: movedClock(skew).clock,
    });
    expect(await call()).toBe(200);
    expect(world.asked()).toHaveLength(2); // refused once, and corrected
    const status = await app.status('x');
    expect(Math.abs((status.expiresAt?.getTime() ?? 0) - (Date.now() + skew + 3_600_000))).toBeLessThan(10_000);
  });

  test('that is not known yet is sent again once, after a delay, and not minted anew', async () => {
    const time = movedClock(0, (ms) => ms < 5000);
    world.com.settings.unknownAtFirst = 1;
    app = await world.open({ x: { url: COM, auth: robot() } }, env(), { clock: time.clock });
    expect(await call()).toBe(200);
    expect(world.com.issued).toHaveLength(1);
    expect(world.calls().map(({ status }) => status)).toEqual([401, 200]);
    expect(time.slept.filter((ms) => ms < 5000)).toEqual([1500]);
  });

  test('that stays refused while it is fresh is sent again once, then minted anew, then given up', async () => {
    const time = movedClock(0, (ms) => ms < 5000);
    world.com.settings.unknownAtFirst = 100;
    app = await world.open({ x: { url: COM, auth: robot() } }, env(), { clock: time.clock });
    expect(await call()).toBe(401);
    const tokens = world.calls().map(({ headers }) => headers.authorization);
    expect(tokens).toHaveLength(3);
    expect(tokens[1]).toBe(tokens[0]);
    expect(world.com.issued).toHaveLength(2);
  });

  test('that was revoked later is minted anew', async () => {
    const time = movedClock();
    app = await world.open({ x: { url: COM, auth: robot() } }, env(), { clock: time.clock });
    await call();
    time.advance(120_000);
    world.com.revoke(world.com.issued[0]?.token ?? '');
    expect(await Promise.all([call(), call(), call()])).toEqual([200, 200, 200]);
    expect(world.com.issued).toHaveLength(2);
  });

  test('of two GitHubs with one installation id, asked at once, goes to its own only', async () => {
    const other = await world.enterprise.app('robot', 7);
    world.enterprise.install(installation());
    app = await world.open(
      {
        x: { url: COM, auth: robot({ installationId: 9 }) },
        y: { url: ENTERPRISE, auth: { method: 'github', appId: 7, privateKey: '${OTHER_KEY}', installationId: 9 } },
      },
      env({ OTHER_KEY: other.privateKey }),
    );
    expect(await Promise.all([call('x'), call('y', ENTERPRISE), call('x'), call('y', ENTERPRISE)])).toEqual([
      200, 200, 200, 200,
    ]);
    expect(world.com.issued).toHaveLength(1);
    expect(world.enterprise.issued).toHaveLength(1);
    for (const { headers } of world.calls()) {
      const own = headers.host === 'github.corp.example' ? world.enterprise : world.com;
      expect(headers.authorization).toBe(`Bearer ${own.issued[0]?.token}`);
    }
    expect(world.asked()).toContain('POST github.corp.example/api/v3/app/installations/9/access_tokens');
  });

  test('ends with TIMEOUT at the deadline when the API hangs, while other servers work', async () => {
    const time = movedClock();
    app = await world.open(
      { x: { url: COM, auth: robot() }, y: { url: COM, auth: { method: 'github', token: '${PAT}' } } },
      env({ PAT: world.com.token() }),
      { clock: time.clock },
    );
    let arrived = (): void => undefined;
    const asked = new Promise<void>((resolve) => (arrived = resolve));
    world.com.settings.fault = () => {
      arrived();
      return new Promise<never>(() => undefined);
    };
    const hung = Promise.allSettled([call(), call()]);
    await asked;
    expect(await call('y')).toBe(200);
    time.fire();
    for (const result of await hung)
      expect(result).toMatchObject({
        status: 'rejected',
        reason: { code: 'TIMEOUT', message: 'api.github.com did not answer within 10 seconds.' },
      });
    expect(world.calls()).toHaveLength(1);
  });
});

describe('a refusal for the App', () => {
  test.each([
    [
      'a foreign key',
      async () => ({ APP_KEY: (await world.enterprise.app('foreign', 8)).privateKey }),
      {},
      { code: 'UNAUTHORIZED', remedy: expect.stringContaining('"appId"') },
    ],
    ['an unknown App', async () => ({}), { appId: 99 }, { code: 'UNAUTHORIZED' }],
    [
      'an installation that is not there',
      async () => ({}),
      { installationId: 1 },
      { code: 'CREDENTIAL_UNAVAILABLE', status: 404 },
    ],
    [
      'an owner that has none',
      async () => ({}),
      { owner: 'nobody' },
      { code: 'CREDENTIAL_UNAVAILABLE', message: expect.stringContaining('nobody') },
    ],
    [
      'permissions that are not granted',
      async () => ({}),
      { permissions: { administration: 'write' } },
      { code: 'TOKEN_REQUEST_FAILED', status: 422, message: expect.stringContaining('not granted') },
    ],
    [
      'a foreign repository',
      async () => ({}),
      { repositories: ['secret'] },
      { code: 'TOKEN_REQUEST_FAILED', status: 422 },
    ],
    [
      'a broken key',
      async () => ({ APP_KEY: '-----BEGIN RSA PRIVATE KEY-----' }),
      {},
      { code: 'AUTH_OPTIONS_INVALID', message: expect.stringContaining('no END line') },
    ],
  ])('by %s names what to mend', async (_, more, options, expected) => {
    world.com.install(installation());
    app = await world.open({ x: { url: COM, auth: robot(options) } }, env(await more()));
    await expect(call()).rejects.toMatchObject(expected);
    expect(world.calls()).toHaveLength(0);
  });

  test('with several installations lists them', async () => {
    world.com.install(installation());
    world.com.install(installation({ id: 10, account: 'other' }));
    app = await world.open({ x: { url: COM, auth: robot() } }, env());
    await expect(call()).rejects.toMatchObject({
      code: 'AUTH_OPTIONS_INVALID',
      message: expect.stringContaining('9 (example), 10 (other)'),
    });
  });

  test('by suspension is FORBIDDEN', async () => {
    world.com.install(installation({ suspended: true }));
    app = await world.open({ x: { url: COM, auth: robot() } }, env());
    await expect(call()).rejects.toMatchObject({ code: 'FORBIDDEN', message: expect.stringContaining('suspended') });
  });

  test.each([403, 429] as const)('by rate limit (%i) carries the reset time', async (status) => {
    world.com.settings.fault = () => world.com.limited(status, 1200);
    app = await world.open({ x: { url: COM, auth: robot() } }, env());
    const error = await call().catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'RATE_LIMITED',
      status,
      message: expect.stringMatching(/until \d{4}-\d\d-\d\dT/),
    });
    expect(Math.abs((error as { retryAfter: number }).retryAfter - 1200)).toBeLessThan(5);
  });

  test.each([
    ['no key', { method: 'github', appId: 7 }],
    ['no appId', { method: 'github', privateKey: '${APP_KEY}' }],
    ['two keys', { method: 'github', appId: 7, privateKey: '${APP_KEY}', privateKeyFile: 'key.pem' }],
    ['an apiUrl over http', { method: 'github', apiUrl: 'http://github.corp.example/api/v3' }],
    ['an unknown field', { method: 'github', installation: 9 }],
    ['a broken key', { method: 'github', appId: 7, privateKey: '-----BEGIN RSA PRIVATE KEY-----' }],
  ])('by options with %s comes before any request', async (_, auth) => {
    app = await world.open({ x: { url: COM, auth } }, env());
    expect(app.check()).toMatchObject({ ok: false, errors: [{ code: 'AUTH_OPTIONS_INVALID', server: 'x' }] });
    await expect(call()).rejects.toMatchObject({ code: 'AUTH_OPTIONS_INVALID' });
    expect(world.proxy.hosts).toEqual([]);
  });
});

describe('a 403 or 429 of the MCP server', () => {
  const open = async () =>
    (app = await world.open(
      { x: { url: COM, auth: { method: 'github', token: '${PAT}' } } },
      { PAT: world.com.token() },
    ));

  test.each([403, 429] as const)(
    'by rate limit (%i) is RATE_LIMITED with the reset time, and no failure of the credential',
    async (status) => {
      await open();
      world.guardWith(() => world.com.limited(status, 1200));
      const error = await call().catch((reason: unknown) => reason);
      expect(error).toMatchObject({ code: 'RATE_LIMITED', status });
      expect(Math.abs((error as { retryAfter: number }).retryAfter - 1200)).toBeLessThan(5);
      expect(world.calls()).toHaveLength(1);
    },
  );

  test.each([
    [
      'single sign-on',
      { 'x-github-sso': 'required; url=https://github.com/orgs/example/sso?authorization_request=A1' },
      'https://github.com/orgs/example/sso?authorization_request=A1',
    ],
    ['a permission', { 'x-accepted-github-permissions': 'contents=read' }, 'contents=read'],
    ['a scope', { 'x-accepted-oauth-scopes': 'repo' }, 'repo'],
  ])('by %s says what is needed', async (_, headers, remedy) => {
    await open();
    world.guardWith(() => ({ status: 403, headers, body: '{"message":"no"}' }));
    await expect(connect()).rejects.toMatchObject({
      code: 'FORBIDDEN',
      status: 403,
      server: 'x',
      remedy: expect.stringContaining(remedy),
    });
  });

  test('by nothing that is known is passed on', async () => {
    await open();
    world.guardWith(() => ({ status: 403, body: 'no' }));
    expect(await call()).toBe(403);
  });
});

describe('a token of the environment', () => {
  test.each([
    ['GH_TOKEN before GITHUB_TOKEN', COM, { GH_TOKEN: 'first-token', GITHUB_TOKEN: 'second-token' }, 'first-token'],
    ['GITHUB_TOKEN', COM, { GITHUB_TOKEN: 'second-token' }, 'second-token'],
    [
      'GH_ENTERPRISE_TOKEN for a server',
      ENTERPRISE,
      { GH_TOKEN: 'token-of-com', GH_ENTERPRISE_TOKEN: 'token-of-server' },
      'token-of-server',
    ],
    [
      'GH_TOKEN for the ghe.com that GH_HOST names',
      OCTO,
      { GH_TOKEN: 'token-of-octo', GH_HOST: 'octo.ghe.com' },
      'token-of-octo',
    ],
    [
      'GITHUB_TOKEN for the server whose Actions run',
      ENTERPRISE,
      { GITHUB_TOKEN: 'token-of-job', GITHUB_SERVER_URL: 'https://github.corp.example' },
      'token-of-job',
    ],
  ])('is taken: %s', async (_, url, variables, expected) => {
    app = await world.open({ x: { url, auth: { method: 'github' } } }, variables);
    world.guardWith(() => undefined);
    expect(await call('x', url)).toBe(200);
    expect(sent().authorization).toBe(`Bearer ${expected}`);
    expect(world.asked()).toEqual([]);
  });

  test.each([
    ["github.com's to a server", ENTERPRISE, { GH_TOKEN: 'token-of-com', GITHUB_TOKEN: 'token-of-com' }],
    [
      "github.com's to ghe.com",
      OCTO,
      { GH_TOKEN: 'token-of-com', GITHUB_TOKEN: 'token-of-com', GH_ENTERPRISE_TOKEN: 'token-of-server' },
    ],
    ["ghe.com's to github.com", COM, { GH_TOKEN: 'token-of-octo', GH_HOST: 'octo.ghe.com' }],
    [
      "a server's to another server",
      'https://other.corp.example/mcp',
      { GH_ENTERPRISE_TOKEN: 'token-of-server', GH_HOST: 'github.corp.example' },
    ],
    ["a server's to github.com", COM, { GH_ENTERPRISE_TOKEN: 'token-of-server' }],
    ["a job's to github.com", COM, { GITHUB_TOKEN: 'token-of-job', GITHUB_SERVER_URL: 'https://github.corp.example' }],
  ])('never goes to another host: %s', async (_, url, variables) => {
    app = await world.open({ x: { url, auth: { method: 'github' } } }, variables);
    await expect(call('x', url)).rejects.toMatchObject({
      code: 'CREDENTIAL_UNAVAILABLE',
      remedy: expect.stringContaining('gh auth login'),
    });
    expect(world.proxy.hosts).toEqual([]);
  });

  test('comes after the App, unless the source is told', async () => {
    world.com.install(installation());
    app = await world.open(
      { x: { url: COM, auth: robot() }, y: { url: COM, auth: robot({ source: 'token' }) } },
      env({ GH_TOKEN: world.com.token() }),
    );
    expect(await call('x')).toBe(200);
    expect(sent().authorization).toMatch(/^Bearer ghs_/);
    expect(await call('y')).toBe(200);
    expect(sent().authorization).toMatch(/^Bearer ghp_/);
  });

  test('that is refused gives the 401, sent once', async () => {
    app = await world.open({ x: { url: COM, auth: { method: 'github' } } }, { GH_TOKEN: 'revoked-token' });
    expect(await call()).toBe(401);
    expect(world.calls()).toHaveLength(1);
  });

  test('goes with the toolsets and the read-only mark', async () => {
    app = await world.open(
      { x: { url: COM, auth: { method: 'github', toolsets: ['repos', 'issues'], readOnly: true } } },
      { GH_TOKEN: world.com.token() },
    );
    expect(await call()).toBe(200);
    expect(sent()).toMatchObject({ 'x-mcp-toolsets': 'repos,issues', 'x-mcp-readonly': 'true' });
  });
});

describe('a variable without `auth`', () => {
  test('the configuration that people have works unmodified, by the environment and by gh', async () => {
    const seed = JSON.parse(
      await readFile(new URL('../../cli/test/fixtures/configs/github.json', import.meta.url), 'utf8'),
    ) as Record<string, unknown>;
    const url = 'https://api.github.com/mcp';
    const request = { ...post, headers: { ...post.headers, accept: 'application/json, text/event-stream' } };
    app = await world.open(seed, { GITHUB_TOKEN: world.com.token() });
    expect((await app.fetch('github')(url, request)).status).toBe(200);
    await app.close();
    app = await world.open(seed, { GH_TOKEN: world.com.token() });
    expect((await app.fetch('github')(url, request)).status).toBe(200);
    for (const { headers } of world.calls()) {
      expect(headers.accept).toBe('application/json, text/event-stream, application/vnd.github.v3+json');
      expect(headers['user-agent']).toBe('MCPOmni-Connect');
    }
  });

  test.each([
    'https://evil.example/mcp',
    'https://github.com.evil.example/mcp',
    'https://evilgithub.com/mcp',
    'https://example.github.io/mcp',
    ENTERPRISE,
  ])('is refused to %s before anything is asked, with the line to add', async (url) => {
    app = await world.open(
      { x: { url, headers: { Authorization: 'Bearer ${GITHUB_TOKEN}' } } },
      { GH_TOKEN: 'token-of-com', GH_ENTERPRISE_TOKEN: 'token-of-server' },
    );
    await expect(call('x', url)).rejects.toMatchObject({
      code: 'AUTH_OPTIONS_INVALID',
      remedy: expect.stringContaining('"auth": { "method":'),
    });
    expect(world.proxy.hosts).toEqual([]);
  });

  test('goes to another host once the line is added, and the template stays', async () => {
    app = await world.open(
      { x: { url: ENTERPRISE, headers: { Authorization: 'Bearer ${GITHUB_TOKEN}' }, auth: { method: 'github' } } },
      { GH_ENTERPRISE_TOKEN: world.enterprise.token() },
    );
    expect(app.check()).toMatchObject({ ok: true });
    expect(await call('x', ENTERPRISE)).toBe(200);
  });

  test('is given to the server that GH_HOST names', async () => {
    app = await world.open(
      { x: { url: ENTERPRISE, headers: { Authorization: 'Bearer ${GITHUB_TOKEN}' } } },
      { GH_HOST: 'github.corp.example', GH_ENTERPRISE_TOKEN: world.enterprise.token() },
    );
    expect(await call('x', ENTERPRISE)).toBe(200);
  });
});

const shell = process.platform !== 'win32'; // there, a script can't stand in for gh.exe
(shell ? describe : (): void => undefined)('gh', () => {
  const gh = (script: string) => world.file(`#!/bin/sh\n${script}\n`, 'gh', 0o700);
  afterEach(() => world.file('', 'gh'));

  test('is asked for the host, and sees no token of the environment', async () => {
    const token = world.octo.token();
    await gh(
      `[ "$*" = "auth token --hostname octo.ghe.com" ] && [ -z "$GH_TOKEN$GITHUB_TOKEN$GH_ENTERPRISE_TOKEN" ] && echo ${token}`,
    );
    app = await world.open(
      { x: { url: OCTO, auth: { method: 'github' } } },
      { GH_TOKEN: 'token-of-com', GH_ENTERPRISE_TOKEN: 'token-of-server' },
    );
    expect(await call('x', OCTO)).toBe(200);
    expect(await app.status('x')).toMatchObject({ source: 'gh, signed in to octo.ghe.com' });
  });

  test('is asked again when its token is refused', async () => {
    const [first, second] = [world.com.token(), world.com.token()];
    world.com.revoke(first);
    await gh(
      `if [ -e ${world.folder}/asked ]; then echo ${second}; else touch ${world.folder}/asked; echo ${first}; fi`,
    );
    app = await world.open({ x: { url: COM, auth: { method: 'github' } } }, { PATH: `${world.folder}:/usr/bin:/bin` });
    expect(await call()).toBe(200);
  });

  test('that hangs is ended, with all that it started, at its deadline', async () => {
    await gh('sleep 600 & sleep 600');
    const time = movedClock();
    app = await world.open(
      { x: { url: COM, auth: { method: 'github' } } },
      { PATH: `${world.folder}:/usr/bin:/bin` },
      { clock: time.clock },
    );
    const asleep = time.sleepOf(5000);
    const hung = call();
    await asleep;
    time.fire();
    await expect(hung).rejects.toMatchObject({
      code: 'TIMEOUT',
      message: 'gh did not answer within 5 seconds.',
      remedy: expect.stringContaining('gh auth token --hostname github.com'),
    });
  });
});

describe('a sign-in', () => {
  const auth = () => ({ method: 'github', clientId: key.clientId, scopes: ['repo', 'read:org'] });
  const quick = () => movedClock(0, (ms) => ms < 10_000 && ms !== 5000);

  test('shows the code, waits for the person, and is used and kept from then on', async () => {
    world.com.settings.interval = 1;
    const store = memoryStore();
    const time = quick();
    let polls = 0;
    world.com.settings.fault = ({ path }) => {
      if (path === '/login/oauth/access_token' && ++polls === 2)
        return {
          status: 200,
          headers: { 'content-type': 'application/json' },
          body: '{"error":"slow_down","interval":7}',
        };
      if (polls === 3) world.com.enter(code);
      return undefined;
    };
    let code = '';
    const ada = person((shown) => (code = shown));
    app = await world.open({ x: { url: COM, auth: auth() } }, {}, { clock: time.clock, store });
    await expect(call()).rejects.toMatchObject({ code: 'LOGIN_REQUIRED', remedy: 'Run `countersign login x`.' });
    await app.login('x', { interaction: ada.interaction });
    expect(ada.told[0]).toMatchObject({
      type: 'device',
      verificationUri: 'https://github.com/login/device',
      userCode: code,
    });
    expect(ada.told.at(-1)).toEqual({ type: 'succeeded' });
    expect(time.slept.filter((ms) => ms < 10_000 && ms !== 5000)).toEqual([1000, 1000, 7000]);
    expect(await call()).toBe(200);
    await app.close();

    app = await world.open({ x: { url: COM, auth: auth() } }, {}, { store });
    expect(await call()).toBe(200);
    expect(await app.status('x')).toMatchObject({
      state: 'ready',
      source: 'sign-in at github.com',
      scopes: ['repo', 'read:org'],
    });
    await app.logout('x');
    await expect(call()).rejects.toMatchObject({ code: 'LOGIN_REQUIRED' });
  });

  test('that runs out is renewed by its refresh token, once for two instances at once', async () => {
    world.com.settings.interval = 1;
    Object.assign(world.com.settings, { expiring: true, lifetime: 600 });
    const store = memoryStore();
    const time = quick();
    app = await world.open({ x: { url: COM, auth: auth() } }, {}, { clock: time.clock, store });
    await app.login('x', { interaction: person((code) => world.com.enter(code)).interaction });
    expect(await call()).toBe(200);
    time.advance(601_000);
    const other = await world.open({ x: { url: COM, auth: auth() } }, {}, { clock: time.clock, store });
    const answers = await Promise.all([app, other].map(async (one) => (await one.fetch('x')(COM, post)).status));
    expect(answers).toEqual([200, 200]);
    expect(world.com.issued).toHaveLength(2);
    await other.close();
  });

  test('whose renewal was cut off is not renewed again with the same refresh token', async () => {
    world.com.settings.interval = 1;
    Object.assign(world.com.settings, { expiring: true, lifetime: 600 });
    const store = memoryStore();
    const time = quick();
    app = await world.open({ x: { url: COM, auth: auth() } }, {}, { clock: time.clock, store });
    await app.login('x', { interaction: person((code) => world.com.enter(code)).interaction });
    time.advance(601_000);
    let renewals = 0;
    world.com.settings.fault = ({ path }, body) => {
      if (path !== '/login/oauth/access_token' || !body.includes('refresh_token')) return undefined;
      renewals++;
      time.fire();
      return new Promise<never>(() => undefined);
    };
    await app.refresh('x');
    await expect(call()).rejects.toMatchObject({ code: 'TIMEOUT' });
    await expect(call()).rejects.toMatchObject({ code: 'LOGIN_REQUIRED', message: expect.stringContaining('cut off') });
    expect(renewals).toBe(1);
    expect(await app.status('x')).toMatchObject({ state: 'login_required' });
  });

  test('that GitHub refuses needs another, in every process', async () => {
    world.com.settings.interval = 1;
    const store = memoryStore();
    const time = quick();
    app = await world.open({ x: { url: COM, auth: auth() } }, {}, { clock: time.clock, store });
    await app.login('x', { interaction: person((code) => world.com.enter(code)).interaction });
    world.com.revoke(world.com.issued[0]?.token ?? '');
    await expect(call()).rejects.toMatchObject({ code: 'LOGIN_REQUIRED' });
    await app.close();
    world.guard.requests.length = 0;
    app = await world.open({ x: { url: COM, auth: auth() } }, {}, { store });
    await expect(call()).rejects.toMatchObject({ code: 'LOGIN_REQUIRED' });
    expect(world.calls()).toHaveLength(0);
  });

  test.each([
    ['denied', 'denied', 'the sign-in was denied'],
    ['too late', undefined, 'nobody entered the code in time'],
  ] as const)('that is %s fails with LOGIN_FAILED', async (_, state, fact) => {
    world.com.settings.interval = 1;
    const time = quick();
    app = await world.open({ x: { url: COM, auth: auth() } }, {}, { clock: time.clock });
    const someone = person((code) => (state ? world.com.enter(code, state) : time.advance(901_000)));
    await expect(app.login('x', { interaction: someone.interaction })).rejects.toMatchObject({
      code: 'LOGIN_FAILED',
      message: expect.stringContaining(fact),
    });
  });

  test('that is given up ends at once', async () => {
    world.com.settings.interval = 3600;
    const stop = new AbortController();
    app = await world.open({ x: { url: COM, auth: auth() } });
    const someone = person(() => stop.abort(new Error('given up')));
    await expect(app.login('x', { interaction: someone.interaction, signal: stop.signal })).rejects.toThrow('given up');
  });

  test.each(['javascript:alert(1)', 'file:///etc/passwd', 'http://evil.example/', 'not a url'])(
    'page at %s is not shown',
    async (uri) => {
      world.com.settings.fault = ({ path }) =>
        path === '/login/device/code'
          ? {
              status: 200,
              headers: { 'content-type': 'application/json' },
              body: JSON.stringify({
                device_code: 'device-code-1',
                user_code: 'ABCD-1234',
                verification_uri: uri,
                interval: 1,
              }),
            }
          : undefined;
      app = await world.open({ x: { url: COM, auth: auth() } });
      const someone = person();
      await expect(app.login('x', { interaction: someone.interaction })).rejects.toMatchObject({ code: 'UNSAFE_URL' });
      expect(someone.told).toEqual([]);
    },
  );

  test('without a client id says where the token comes from, or what to do', async () => {
    const someone = person();
    app = await world.open({ x: { url: COM, auth: { method: 'github' } } }, { GH_TOKEN: world.com.token() });
    await app.login('x', { interaction: someone.interaction });
    expect(someone.told).toContainEqual({
      type: 'note',
      message: 'The token comes from environment GH_TOKEN; there is nothing to sign in to.',
    });
    await app.close();
    app = await world.open({ x: { url: COM, auth: { method: 'github' } } });
    await expect(app.login('x', { interaction: someone.interaction })).rejects.toMatchObject({
      code: 'LOGIN_FAILED',
      remedy: expect.stringContaining('"clientId"'),
    });
  });
});

test("a local program gets the App's token in its environment", async () => {
  world.com.install(installation());
  const out = `${world.folder}/out`;
  const program = await world.file(
    `require('node:fs').writeFileSync(${JSON.stringify(out)}, process.env.GITHUB_PERSONAL_ACCESS_TOKEN ?? '')`,
    'program.cjs',
  );
  app = await world.open(
    {
      x: {
        command: process.execPath,
        args: [program],
        env: { GITHUB_PERSONAL_ACCESS_TOKEN: '${GITHUB_TOKEN}' },
        auth: robot(),
      },
    },
    env(),
    { plugins: [github, stdio, world.trusting] },
  );
  const transport = await app.transport('x');
  const ended = new Promise<void>((resolve) => (transport.onclose = resolve));
  await transport.start();
  await ended;
  expect(await readFile(out, 'utf8')).toBe(world.com.issued[0]?.token);
});

describe('for people', () => {
  test('whoami asks who the token is, and nothing else does', async () => {
    world.com.install(installation());
    app = await world.open(
      { x: { url: COM, auth: { method: 'github' } }, y: { url: COM, auth: robot() } },
      env({ GH_TOKEN: world.com.token('grace') }),
    );
    await call();
    expect(world.asked()).toEqual([]);
    expect(await app.status('x', { detail: true })).toMatchObject({
      state: 'ready',
      source: 'environment GH_TOKEN',
      principal: 'grace',
      scopes: ['repo', 'read:org'],
      issuer: 'https://github.com',
    });
    expect(await app.status('y', { detail: true })).toMatchObject({
      state: 'ready',
      principal: 'robot[bot] at example',
      scopes: ['contents:write', 'issues:read'],
    });
  });

  test('no secret is in any output, at debug, in success and in failure', async () => {
    const lines: string[] = [];
    const log = { debug: (line: string) => void lines.push(line), warn: (line: string) => void lines.push(line) };
    world.com.install(installation());
    app = await world.open({ x: { url: COM, auth: robot() } }, env(), { log });
    await call();
    const requests: string[] = [];
    world.com.settings.fault = (head) => {
      const bearer = head.headers.authorization?.replace(/^Bearer /, '') ?? '';
      requests.push(bearer);
      return {
        status: 401,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ message: `you sent ${bearer}` }),
      };
    };
    await app.refresh('x');
    const error = (await call().catch((reason: unknown) => reason)) as Error & { remedy: string };
    lines.push(
      inspect(error, { depth: 20, showHidden: true }),
      error.stack ?? '',
      error.remedy,
      JSON.stringify(await app.status('x', { detail: true })),
    );
    const canaries = [
      ...world.com.issued.map(({ token }) => token),
      ...requests,
      ...key.privateKey.split('\n').filter((line) => line.length > 20 && !line.startsWith('-')),
    ];
    expect(canaries.length).toBeGreaterThan(20);
    for (const line of lines) for (const canary of canaries) expect(line).not.toContain(canary);
    expect(lines.length).toBeGreaterThan(4);
  });

  test("GitHub's libraries are only ever imported where a JWT is made", async () => {
    const folder = new URL('../src/', import.meta.url);
    const files = await readdir(folder);
    for (const file of files)
      expect(await readFile(new URL(file, folder), 'utf8')).not.toMatch(
        /^(?:import|export) (?!type)[^;]*from '@octokit/m,
      );
    expect(files).toContain('app.ts');
  });
});
