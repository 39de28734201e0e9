import { readdir, readFile } from 'node:fs/promises';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { Countersign } from '@countersign/core';
import { movedClock, post, startWorld, type World } from './support.js';

const API = 'https://service.googleapis.com/mcp';
const RUN = 'https://tools-abc123-ew.a.run.app/mcp';
const ACCOUNT = 'target@countersign-test.iam.gserviceaccount.com';

jest.setTimeout(30_000); // dozens of TLS connections on a busy machine

let world: World;
let app: Countersign;
beforeAll(async () => {
  world = await startWorld();
});
afterEach(async () => {
  await app?.close();
  world.reset();
});
afterAll(() => world.close());

async function call(name = 'x', url = API): Promise<number> {
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

/** The different tokens that fifty requests at once carry: the whole exchange, but for the sending. */
async function fifty(header = 'authorization'): Promise<(string | undefined)[]> {
  const previews = await Promise.all(Array.from({ length: 50 }, () => app.preview('x')));
  return [...new Set(previews.map(({ headers }) => headers.find(({ name }) => name === header)?.value))];
}

describe('every source of credentials', () => {
  const sources: Record<
    string,
    () => Promise<{ env: Record<string, string>; auth?: object; email: string; id?: false }>
  > = {
    'a service account file': async () => {
      const key = await world.google.serviceAccount();
      return { env: { GOOGLE_APPLICATION_CREDENTIALS: await world.file(key) }, email: key.client_email };
    },
    'a service account file by keyFile': async () => {
      const key = await world.google.serviceAccount();
      return { env: {}, auth: { keyFile: await world.file(key) }, email: key.client_email };
    },
    'user credentials': async () => ({
      env: { GOOGLE_APPLICATION_CREDENTIALS: await world.file(world.google.user()) },
      email: 'ada@example.com',
      id: false,
    }),
    'the metadata server': async () => ({
      env: { GCE_METADATA_HOST: `127.0.0.1:${world.metadata.port}`, NO_GCE_CHECK: '' },
      email: world.google.email,
    }),
    'federation with a token file': async () => {
      const tokenFile = await world.file('', 'subject');
      const { file, subject } = await world.google.federation({ file: tokenFile });
      await world.file(subject, 'subject');
      return { env: { GOOGLE_APPLICATION_CREDENTIALS: await world.file(file) }, email: 'federated', id: false };
    },
    'federation that impersonates': async () => {
      const tokenFile = await world.file('', 'subject');
      const { file, subject } = await world.google.federation({ file: tokenFile }, { account: ACCOUNT });
      await world.file(subject, 'subject');
      return { env: { GOOGLE_APPLICATION_CREDENTIALS: await world.file(file) }, email: ACCOUNT };
    },
    'an impersonated service account file': async () => ({
      env: {
        GOOGLE_APPLICATION_CREDENTIALS: await world.file({
          type: 'impersonated_service_account',
          source_credentials: world.google.user(),
          service_account_impersonation_url: `https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/${ACCOUNT}:generateAccessToken`,
          delegates: [],
        }),
      },
      email: ACCOUNT,
    }),
    'user credentials that impersonate': async () => ({
      env: { GOOGLE_APPLICATION_CREDENTIALS: await world.file(world.google.user()) },
      auth: { impersonate: ACCOUNT },
      email: ACCOUNT,
    }),
    'a metadata server that impersonates': async () => ({
      env: { GCE_METADATA_HOST: `127.0.0.1:${world.metadata.port}`, NO_GCE_CHECK: '' },
      auth: { impersonate: ACCOUNT },
      email: ACCOUNT,
    }),
  };

  test.each(Object.keys(sources))(
    '%s gives an access token to an API of Google, one for fifty at once',
    async (name) => {
      const { env, auth, email } = await sources[name]!();
      world.guardWith(world.google.accessToken({ email }));
      app = await world.open({ x: { url: API, auth: { method: 'gcp', ...auth } } }, env);
      const before = world.google.issued.length;
      expect(await fifty()).toHaveLength(1);
      expect(await call()).toBe(200);
      expect(world.google.issued.slice(before).filter(({ to }) => to === email)).toHaveLength(
        email === 'ada@example.com' ? 2 : 1,
      );
    },
  );

  test.each(Object.keys(sources))(
    '%s gives an ID token to Cloud Run, one for fifty at once, or says what to do',
    async (name) => {
      const { env, auth, email, id } = await sources[name]!();
      world.guardWith(world.google.idToken(new URL(RUN).origin, { email }));
      app = await world.open({ x: { url: RUN, auth: { method: 'gcp', ...auth } } }, env);
      if (id === false) {
        await expect(call('x', RUN)).rejects.toMatchObject({
          code: 'CREDENTIAL_UNAVAILABLE',
          remedy: expect.stringContaining('"impersonate"'),
        });
        expect(world.mcp.requests).toHaveLength(0);
        return;
      }
      expect(await fifty()).toHaveLength(1);
      expect(await call('x', RUN)).toBe(200);
      expect(
        world.google.issued.filter(({ kind, audience }) => kind === 'id' && audience === new URL(RUN).origin),
      ).toHaveLength(1);
    },
  );

  test('federation by URL, and by AWS credentials, work through the proxy', async () => {
    const { file, subject } = await world.google.federation({
      url: `${world.metadata.origin}/subject`,
      headers: { authorization: 'bearer runner' },
      format: { type: 'json', subject_token_field_name: 'value' },
    });
    world.google.settings.fault = ({ path, headers }) =>
      path === '/subject' && headers.authorization === 'bearer runner'
        ? { status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify({ value: subject }) }
        : undefined;
    app = await world.open(
      { x: { url: API, auth: { method: 'gcp' } } },
      { GOOGLE_APPLICATION_CREDENTIALS: await world.file(file) },
    );
    expect(await call()).toBe(200);
    await app.close();

    const { file: aws } = await world.google.federation(
      {
        environment_id: 'aws1',
        regional_cred_verification_url:
          'https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15',
      },
      { aws: true },
    );
    app = await world.open(
      { x: { url: API, auth: { method: 'gcp' } } },
      {
        GOOGLE_APPLICATION_CREDENTIALS: await world.file(aws),
        AWS_REGION: 'eu-west-1',
        AWS_ACCESS_KEY_ID: 'AKIAEXAMPLE',
        AWS_SECRET_ACCESS_KEY: 'secret-of-aws',
      },
    );
    expect(await call()).toBe(200);
    expect(world.proxy.hosts.filter((host) => host.startsWith('sts.googleapis.com'))).not.toHaveLength(0);
  });

  test('federation by a program needs its opt-in, and says so', async () => {
    const { file } = await world.google.federation({ executable: { command: '/bin/false', timeout_millis: 5000 } });
    app = await world.open(
      { x: { url: API, auth: { method: 'gcp' } } },
      { GOOGLE_APPLICATION_CREDENTIALS: await world.file(file) },
    );
    await expect(call()).rejects.toMatchObject({
      code: 'CREDENTIAL_UNAVAILABLE',
      remedy: expect.stringContaining('GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1'),
    });
  });

  test('federation by a program that is allowed works', async () => {
    const { subject } = await world.google.federation({});
    const answer = {
      version: 1,
      success: true,
      token_type: 'urn:ietf:params:oauth:token-type:jwt',
      id_token: subject,
      expiration_time: Math.floor(Date.now() / 1000) + 600,
    };
    const program = await world.file(`console.log(${JSON.stringify(JSON.stringify(answer))})`, 'program.cjs');
    const command = `"${process.execPath}" "${program}"`;
    const { file } = await world.google.federation({ executable: { command, timeout_millis: 5000 } });
    app = await world.open(
      { x: { url: API, auth: { method: 'gcp' } } },
      { GOOGLE_APPLICATION_CREDENTIALS: await world.file(file) },
    );
    process.env['GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES'] = '1';
    try {
      expect(await call()).toBe(200);
    } finally {
      delete process.env['GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES'];
    }
  });

  test.each([['"3600"'], ['-1'], ['1e308'], ['null'], ['"soon"']])(
    'an answer with expires_in %s is used',
    async (seconds) => {
      app = await world.open(
        { x: { url: API, auth: { method: 'gcp' } } },
        { GOOGLE_APPLICATION_CREDENTIALS: await world.file(world.google.user()) },
      );
      world.guardWith(() => undefined);
      world.google.settings.fault = () => ({
        status: 200,
        headers: { 'content-type': 'application/json' },
        body: `{"access_token":"ya29.a-token","expires_in":${seconds}}`,
      });
      expect(await call()).toBe(200);
      expect(await app.status('x')).toMatchObject({ expiresAt: expect.any(Date) });
    },
  );

  test('without any, the error names the command to run', async () => {
    app = await world.open({ x: { url: API, auth: { method: 'gcp' } } });
    await expect(call()).rejects.toMatchObject({
      code: 'CREDENTIAL_UNAVAILABLE',
      remedy: expect.stringContaining('gcloud auth application-default login'),
    });
    expect(world.proxy.hosts).toEqual([]);
  });
});

describe('the token', () => {
  let adc: Record<string, string>;
  beforeEach(async () => {
    adc = { GOOGLE_APPLICATION_CREDENTIALS: await world.file(await world.google.serviceAccount()) };
  });

  const sent = () => world.mcp.requests.at(-1)?.headers ?? {};

  test('is an ID token for the audience where one is given, in the header that is asked for', async () => {
    const audience = '42-iap.apps.googleusercontent.com';
    world.guardWith(world.google.idToken(audience, { header: 'proxy-authorization' }));
    app = await world.open(
      {
        x: {
          url: 'https://intranet.example.com/mcp',
          headers: { Authorization: 'Bearer ${APP}' },
          auth: { method: 'gcp', audience, header: 'Proxy-Authorization' },
        },
      },
      { ...adc, APP: 'the-application-token' },
    );
    expect(await call('x', 'https://intranet.example.com/mcp')).toBe(200);
    expect(sent().authorization).toBe('Bearer the-application-token');
  });

  test('leaves Authorization free on Cloud Run with X-Serverless-Authorization', async () => {
    world.guardWith(world.google.idToken(new URL(RUN).origin, { header: 'x-serverless-authorization' }));
    app = await world.open({ x: { url: RUN, auth: { method: 'gcp', header: 'X-Serverless-Authorization' } } }, adc);
    expect(await call('x', RUN)).toBe(200);
    expect(sent().authorization).toBeUndefined();
  });

  test('has the scopes that are asked for', async () => {
    world.guardWith(world.google.accessToken({ scope: 'https://www.googleapis.com/auth/bigquery' }));
    app = await world.open(
      { x: { url: API, auth: { method: 'gcp', scopes: 'https://www.googleapis.com/auth/bigquery' } } },
      adc,
    );
    expect(await call()).toBe(200);
  });

  test('goes with the quota project of the option, the environment or the credential file, in this order', async () => {
    const user = {
      GOOGLE_APPLICATION_CREDENTIALS: await world.file(world.google.user({ quotaProject: 'of-file' }), 'user.json'),
    };
    for (const [auth, env, expected] of [
      [{ quotaProject: 'of-option' }, { ...user, GOOGLE_CLOUD_QUOTA_PROJECT: 'of-environment' }, 'of-option'],
      [{}, { ...user, GOOGLE_CLOUD_QUOTA_PROJECT: 'of-environment' }, 'of-environment'],
      [{}, user, 'of-file'],
    ] as const) {
      app = await world.open({ x: { url: API, auth: { method: 'gcp', ...auth } } }, env);
      expect(await call()).toBe(200);
      expect(sent()['x-goog-user-project']).toBe(expected);
      await app.close();
    }
  });

  test('expires during a session without a failed call, and is never sent expired', async () => {
    world.google.settings.lifetime = 100;
    const time = movedClock();
    app = await world.open({ x: { url: API, auth: { method: 'gcp' } } }, adc, { clock: time.clock });
    expect(await call()).toBe(200);
    time.advance(101_000);
    expect(await call()).toBe(200);
    expect(new Set(world.mcp.requests.map(({ headers }) => headers.authorization)).size).toBe(2);
    expect(world.mcp.requests.map(({ status }) => status)).toEqual([200, 200]);
  });

  test('is minted anew, once for all, when the server refuses it', async () => {
    app = await world.open({ x: { url: API, auth: { method: 'gcp' } } }, adc);
    await call();
    const refused = sent().authorization;
    world.guardWith(async (head, body) =>
      head.headers.authorization === refused
        ? { status: 401, headers: { 'www-authenticate': 'Bearer' } }
        : world.google.accessToken()(head, body),
    );
    expect(new Set(await Promise.all([call(), call(), call(), call()]))).toEqual(new Set([200]));
    expect(world.google.issued).toHaveLength(2);
  });

  test.each([600_000, -600_000])('is minted with a clock that is %i ms off', async (skew) => {
    app = await world.open(
      { x: { url: API, auth: { method: 'gcp' } }, y: { url: RUN, auth: { method: 'gcp' } } },
      adc,
      { clock: movedClock(skew).clock },
    );
    expect(await call()).toBe(200);
    world.guardWith(world.google.idToken(new URL(RUN).origin));
    expect(await call('y', RUN)).toBe(200);
  });

  test('ends with TIMEOUT at the deadline when its endpoint hangs, while other servers work', async () => {
    const time = movedClock();
    const metadata = { GCE_METADATA_HOST: `127.0.0.1:${world.metadata.port}` };
    app = await world.open(
      {
        x: { url: API, auth: { method: 'gcp' } },
        y: { url: API, auth: { method: 'gcp', keyFile: await world.file(world.google.user(), 'user.json') } },
      },
      { ...adc, ...metadata },
      { clock: time.clock },
    );
    let arrived = (): void => undefined;
    const asked = new Promise<void>((resolve) => (arrived = resolve));
    world.google.settings.fault = (_, body) => {
      if (!body.includes('jwt-bearer')) return undefined;
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
        reason: { code: 'TIMEOUT', message: expect.stringContaining('oauth2.googleapis.com') },
      });
    expect(world.mcp.requests).toHaveLength(1);
  });
});

describe('a variable without `auth`', () => {
  test('the configuration that people have works unmodified', async () => {
    const key = await world.google.serviceAccount();
    world.guardWith(world.google.accessToken({ email: key.client_email }));
    const seed = JSON.parse(
      await readFile(new URL('../../cli/test/fixtures/configs/gcp.json', import.meta.url), 'utf8'),
    ) as Record<string, unknown>;
    app = await world.open(seed, { GOOGLE_APPLICATION_CREDENTIALS: await world.file(key) });
    expect(await call('gcp-service')).toBe(200);
    expect(world.google.issued).toHaveLength(1);
  });

  test.each([
    ['GCP_ACCESS_TOKEN', 'https://evil.example/mcp', '"auth": { "method": "gcp", "token": "access" }'],
    ['GCP_ACCESS_TOKEN', 'https://evilgoogleapis.com/mcp', '"auth": { "method": "gcp", "token": "access" }'],
    [
      'GCP_ACCESS_TOKEN',
      'https://service.googleapis.com.evil.example/mcp',
      '"auth": { "method": "gcp", "token": "access" }',
    ],
    ['GCP_ACCESS_TOKEN', RUN, '${GCP_ID_TOKEN}'],
    ['GCP_ID_TOKEN', 'https://evil.example/mcp', '"auth": { "method": "gcp"'],
  ])('%s is refused to %s before anything is minted, with the line to add', async (name, url, line) => {
    app = await world.open(
      { x: { url, headers: { Authorization: `Bearer \${${name}}` } } },
      { GOOGLE_APPLICATION_CREDENTIALS: await world.file(await world.google.serviceAccount()) },
    );
    await expect(call('x', url)).rejects.toMatchObject({
      code: 'AUTH_OPTIONS_INVALID',
      remedy: expect.stringContaining(line),
    });
    expect(world.google.issued).toHaveLength(0);
    expect(world.proxy.hosts).toEqual([]);
  });

  test('an ID token goes to Cloud Run, and the projects to any header', async () => {
    world.guardWith(world.google.idToken(new URL(RUN).origin));
    app = await world.open(
      {
        x: {
          url: RUN,
          headers: {
            Authorization: 'Bearer ${GCP_ID_TOKEN}',
            'X-Project': '${GCP_PROJECT}',
            'X-Goog-User-Project': '${GCP_QUOTA_PROJECT}',
          },
        },
      },
      { GOOGLE_APPLICATION_CREDENTIALS: await world.file(await world.google.serviceAccount()) },
    );
    expect(await call('x', RUN)).toBe(200);
    expect(world.mcp.requests[0]?.headers).toMatchObject({ 'x-project': 'countersign-test' });
    expect(world.mcp.requests[0]?.headers).not.toHaveProperty('x-goog-user-project');
  });

  test('goes to another host once the line is added, and the template stays', async () => {
    app = await world.open(
      {
        x: {
          url: 'https://mcp.example.com/mcp',
          headers: { Authorization: 'Bearer ${GCP_ACCESS_TOKEN}' },
          auth: { method: 'gcp', token: 'access' },
        },
      },
      { GOOGLE_APPLICATION_CREDENTIALS: await world.file(await world.google.serviceAccount()) },
    );
    expect(app.check()).toMatchObject({ ok: true });
    expect(await call('x', 'https://mcp.example.com/mcp')).toBe(200);
    expect(world.google.issued).toHaveLength(1);
  });

  test('a refused token is minted anew', async () => {
    app = await world.open(
      { x: { url: API, headers: { Authorization: 'Bearer ${GCP_ACCESS_TOKEN}' } } },
      { GOOGLE_APPLICATION_CREDENTIALS: await world.file(await world.google.serviceAccount()) },
    );
    let refusals = 1;
    world.guardWith((head, body) => (refusals-- > 0 ? { status: 401 } : world.google.accessToken()(head, body)));
    expect(await call()).toBe(200);
    expect(world.google.issued).toHaveLength(2);
  });
});

describe('a refusal', () => {
  const open = async (env: Record<string, string> = {}, auth = {}) =>
    (app = await world.open(
      { x: { url: API, auth: { method: 'gcp', ...auth } }, run: { url: RUN, auth: { method: 'gcp' } } },
      { GOOGLE_APPLICATION_CREDENTIALS: await world.file(await world.google.serviceAccount()), ...env },
    ));
  const details = (reason: string, metadata = {}) => ({
    status: 403,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      error: { code: 403, status: 'PERMISSION_DENIED', message: 'no', details: [{ reason, metadata }] },
    }),
  });

  test.each([
    [
      'a disabled API',
      details('SERVICE_DISABLED', { service: 'service.googleapis.com', consumer: 'projects/7' }),
      'gcloud services enable service.googleapis.com --project 7',
    ],
    ['a quota project', details('USER_PROJECT_DENIED'), 'roles/serviceusage.serviceUsageConsumer'],
    ['a scope', details('ACCESS_TOKEN_SCOPE_INSUFFICIENT'), '"scopes"'],
    ['a role', details('IAM_PERMISSION_DENIED'), 'roles/mcp.toolUser'],
    [
      'IAP',
      { status: 403, headers: { 'x-goog-iap-generated-response': 'true' }, body: 'no' },
      'roles/iap.httpsResourceAccessor',
    ],
  ])('of 403 by %s is explained, without another token', async (_, answer, remedy) => {
    await open();
    world.guardWith(() => answer);
    await expect(connect()).rejects.toMatchObject({
      code: 'FORBIDDEN',
      status: 403,
      server: 'x',
      remedy: expect.stringContaining(remedy),
    });
    expect(world.google.issued).toHaveLength(1);
    expect(world.mcp.requests).toHaveLength(1);
  });

  test('of 403 by Cloud Run names the invoker role', async () => {
    await open();
    world.guardWith(() => ({ status: 403, body: '<html>Your client does not have permission</html>' }));
    await expect(connect('run')).rejects.toMatchObject({
      code: 'FORBIDDEN',
      remedy: expect.stringContaining('roles/run.invoker'),
    });
  });

  test('of a revoked sign-in names the command', async () => {
    const user = world.google.user();
    world.google.revoke(user.refresh_token);
    await open({ GOOGLE_APPLICATION_CREDENTIALS: await world.file(user, 'user.json') });
    await expect(call()).rejects.toMatchObject({
      code: 'CREDENTIAL_UNAVAILABLE',
      message: expect.stringContaining('invalid_grant'),
      remedy: expect.stringContaining('gcloud auth application-default login'),
    });
  });

  test("of a foreign key says that the key is not the account's", async () => {
    const key = await world.google.serviceAccount('one');
    const { private_key } = await world.google.serviceAccount('two');
    await open({ GOOGLE_APPLICATION_CREDENTIALS: await world.file({ ...key, private_key }, 'foreign.json') });
    await expect(call()).rejects.toMatchObject({
      code: 'TOKEN_REQUEST_FAILED',
      message: expect.stringContaining('Invalid JWT Signature'),
    });
  });

  test('of an impersonation names the role', async () => {
    world.google.settings.closed.add(ACCOUNT);
    await open({}, { impersonate: ACCOUNT });
    await expect(call()).rejects.toMatchObject({
      code: 'FORBIDDEN',
      remedy: expect.stringContaining('roles/iam.serviceAccountTokenCreator'),
    });
  });

  test.each([
    ['no JSON', '{"private_key": "CANARY-in-a-file', 'CREDENTIAL_UNAVAILABLE', 'is not JSON'],
    ['no type', '{"private_key":"CANARY"}', 'CREDENTIAL_UNAVAILABLE', 'has no "type"'],
    ['a foreign type', '{"type":"CANARY-type"}', 'AUTH_OPTIONS_INVALID', 'not one that Countersign knows'],
    [
      'a broken key',
      '{"type":"service_account","client_email":"a@b","private_key":"-----BEGIN PRIVATE KEY-----CANARY"}',
      'AUTH_OPTIONS_INVALID',
      'not a private key',
    ],
  ])('of a credential file with %s tells what is wrong and quotes nothing', async (_, content, code, fact) => {
    await open({ GOOGLE_APPLICATION_CREDENTIALS: await world.file(content, 'broken.json') });
    const error = (await call().catch((reason: unknown) => reason)) as Error & { code: string };
    expect(error).toMatchObject({ code, message: expect.stringContaining(fact) });
    if (code === 'CREDENTIAL_UNAVAILABLE')
      expect(JSON.stringify([error.message, error.stack, error.cause])).not.toContain('CANARY');
    expect(world.proxy.hosts).toEqual([]);
  });
});

describe('for people', () => {
  test('status tells who, until when and from where; whoami asks Google, nothing else does', async () => {
    const user = world.google.user();
    app = await world.open(
      { x: { url: API, auth: { method: 'gcp' } } },
      { GOOGLE_APPLICATION_CREDENTIALS: await world.file(user) },
    );
    expect(await app.status('x')).toMatchObject({ state: 'unused', source: 'Application Default Credentials' });
    await call();
    expect(world.endpoints.requests.map(({ path }) => path)).toEqual(['/token']);
    expect(await app.status('x', { detail: true })).toMatchObject({
      state: 'ready',
      source: expect.stringContaining('user credentials'),
      principal: 'ada@example.com',
      scopes: expect.arrayContaining(['https://www.googleapis.com/auth/cloud-platform']),
      expiresAt: expect.any(Date),
    });
  });

  test('login says whose the sign-in is, and fails with the command when there is none', async () => {
    const told: unknown[] = [];
    const interaction = {
      show: async () => 'shown' as const,
      ask: async () => '',
      tell: (event: unknown) => void told.push(event),
    };
    app = await world.open({ x: { url: API, auth: { method: 'gcp' } } });
    await expect(app.login('x', { interaction })).rejects.toMatchObject({
      code: 'LOGIN_FAILED',
      remedy: expect.stringContaining('gcloud auth application-default login'),
    });
    await app.close();
    app = await world.open(
      { x: { url: API, auth: { method: 'gcp' } } },
      { GOOGLE_APPLICATION_CREDENTIALS: await world.file(world.google.user()) },
    );
    await app.login('x', { interaction });
    expect(told).toEqual([{ type: 'note', message: expect.stringContaining('user credentials') }]);
    await app.logout('x');
    expect(await app.status('x')).toMatchObject({ state: 'unused' });
  });

  test('no secret is in any output, at debug, in success and in failure', async () => {
    const lines: string[] = [];
    const log = { debug: (line: string) => void lines.push(line), warn: (line: string) => void lines.push(line) };
    const key = await world.google.serviceAccount();
    const user = world.google.user();
    app = await world.open(
      {
        x: { url: API, auth: { method: 'gcp' } },
        y: { url: API, auth: { method: 'gcp', keyFile: await world.file(user, 'user.json') } },
      },
      { GOOGLE_APPLICATION_CREDENTIALS: await world.file(key) },
      { log },
    );
    await call();
    await call('y');
    // An endpoint that echoes the request, and fails.
    world.google.settings.fault = (_, body) => ({
      status: 400,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ error: 'invalid_grant', error_description: `you sent ${body.toString()}` }),
    });
    for (const name of ['x', 'y']) {
      await app.refresh(name);
      const error = (await call(name).catch((reason: unknown) => reason)) as Error & { remedy: string };
      lines.push(
        inspect(error, { depth: 20, showHidden: true }),
        error.stack ?? '',
        error.remedy,
        JSON.stringify(await app.status(name, { detail: true })),
      );
    }
    const canaries = [
      user.refresh_token,
      user.client_secret,
      ...key.private_key.split('\n').filter((line) => line.length > 20 && !line.startsWith('-')),
      ...world.google.issued.map(({ token }) => token),
    ];
    for (const line of lines)
      for (const canary of canaries)
        expect(line.includes(canary) || line.includes(encodeURIComponent(canary))).toBe(false);
    expect(lines.length).toBeGreaterThan(4);
  });

  test('the library of Google is only ever imported where a token is minted', async () => {
    const folder = new URL('../src/', import.meta.url);
    const files = await readdir(folder);
    for (const file of files)
      expect(await readFile(new URL(file, folder), 'utf8')).not.toMatch(
        /^(?:import|export) (?!type)[^;]*from 'google-auth-library'/m,
      );
    expect(files).toContain('clients.ts');
  });
});
