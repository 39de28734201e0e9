import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { silentLog, systemClock } from '@countersign/core';
import { findCredentials } from '../src/credential-chain.js';
import { freshCredentials } from '../src/fresh-credentials.js';
import type { SigV4Options } from '../src/options.js';
import { assumed, document, startEndpoint } from './fakes.js';
import { closeAuthority, environment, forms, KEY, movableClock, SECRET, send, startAws, TOKEN } from './setting.js';

const ROLE = 'arn:aws:iam::123456789012:role/orders';
const hour = (): Date => new Date(Math.floor(Date.now() / 1000) * 1000 + 3_600_000);

const open: { close(): Promise<void> }[] = [];
let folder: string;
let config: string;
let shared: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'countersign-aws-'));
  config = join(folder, 'config');
  shared = join(folder, 'credentials');
});
afterEach(async () => {
  for (const each of open.splice(0)) await each.close();
  await rm(folder, { recursive: true });
});
afterAll(closeAuthority);
jest.setTimeout(60_000); // each connection through TLS costs two handshakes

const endpoint = async (...parameters: Parameters<typeof startEndpoint>) => {
  const started = await startEndpoint(...parameters);
  open.push(started);
  return started;
};

const concealed: string[] = [];
const services = (env: Record<string, string>, clock = systemClock) => ({
  env: { AWS_CONFIG_FILE: config, AWS_SHARED_CREDENTIALS_FILE: shared, AWS_EC2_METADATA_DISABLED: 'true', ...env },
  fetch: globalThis.fetch,
  clock,
  server: { name: 'orders', url: undefined },
  conceal: (secret: string) => concealed.push(secret),
  log: silentLog,
});
const find = (env: Record<string, string>, options: SigV4Options = {}) =>
  findCredentials(options, services(env), 'us-east-1');
const fresh = (env: Record<string, string>, options: SigV4Options = {}, clock = systemClock) =>
  freshCredentials(
    options,
    services(env, clock),
    () => Promise.resolve('us-east-1'),
    () => 0,
  );

describe('credentials are found', () => {
  test('in the configuration, the environment and a profile without the AWS SDK', async () => {
    await writeFile(
      shared,
      `[default]\naws_access_key_id = OTHER\naws_secret_access_key = other\n\n[dev]\naws_access_key_id=${KEY}\naws_secret_access_key = ${SECRET}\naws_session_token = ${TOKEN}\n`,
    );
    const none = () => Promise.reject(new Error('not wanted'));
    const given = { accessKeyId: KEY, secretAccessKey: SECRET, sessionToken: TOKEN };
    await expect(findCredentials({ credentials: given }, services({}), '', none)).resolves.toMatchObject({
      credentials: given,
      source: 'configuration',
    });
    await expect(
      findCredentials({}, services({ ...environment, AWS_SESSION_TOKEN: ` ${TOKEN}\n` }), '', none),
    ).resolves.toMatchObject({ credentials: given, source: 'environment AWS_ACCESS_KEY_ID' });
    await expect(findCredentials({ profile: 'dev' }, services(environment), '', none)).resolves.toMatchObject({
      credentials: given,
      source: 'AWS profile dev',
    });
  });

  test('by AWS_PROFILE, unless the environment has keys', async () => {
    await writeFile(shared, '[dev]\naws_access_key_id = FROMFILE\naws_secret_access_key = secret-of-file\n');
    await expect(find({ AWS_PROFILE: 'dev' })).resolves.toMatchObject({ credentials: { accessKeyId: 'FROMFILE' } });
    await expect(find({ AWS_PROFILE: 'dev', ...environment })).resolves.toMatchObject({
      credentials: { accessKeyId: KEY },
    });
  });

  test('from a credential_process', async () => {
    const script = join(folder, 'process.mjs');
    await writeFile(
      script,
      `console.log(JSON.stringify({ Version: 1, AccessKeyId: '${KEY}', SecretAccessKey: '${SECRET}', SessionToken: '${TOKEN}', Expiration: '${hour().toISOString()}' }))`,
    );
    await writeFile(config, `[profile tool]\ncredential_process = "${process.execPath}" "${script}"\n`);
    await expect(find({}, { profile: 'tool' })).resolves.toMatchObject({
      credentials: { accessKeyId: KEY, secretAccessKey: SECRET, sessionToken: TOKEN, expiration: expect.any(Date) },
    });
  });

  test('from a container, with its token', async () => {
    const container = await endpoint(({ headers }) =>
      headers.authorization === 'container-token' ? document(KEY, SECRET, TOKEN, hour()) : { status: 403, body: '' },
    );
    const found = await find({
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `${container.url}/creds`,
      AWS_CONTAINER_AUTHORIZATION_TOKEN: 'container-token',
    });
    expect(found).toMatchObject({
      credentials: { accessKeyId: KEY, secretAccessKey: SECRET, sessionToken: TOKEN },
      source: 'container credentials',
    });
  });

  test('from an instance, by IMDSv2', async () => {
    const imds = await endpoint(({ method, path, headers }) => {
      if (method === 'PUT' && path === '/latest/api/token') return 'imds-token';
      if (headers['x-aws-ec2-metadata-token'] !== 'imds-token') return { status: 401, body: '' };
      return path.endsWith('/security-credentials/') ? 'orders-role' : document(KEY, SECRET, TOKEN, hour());
    });
    const found = await find({ AWS_EC2_METADATA_SERVICE_ENDPOINT: imds.url, AWS_EC2_METADATA_DISABLED: 'false' });
    expect(found).toMatchObject({
      credentials: { accessKeyId: KEY, sessionToken: TOKEN, expiration: expect.any(Date) },
      source: 'instance metadata',
    });
    expect(imds.asked.map(({ path }) => path.split('/').at(-1))).toEqual(['token', '', 'orders-role']);
  });

  test('from an instance that gives no tokens, by IMDSv1 unless that is disabled', async () => {
    const imds = await endpoint(({ method, path }) => {
      if (method === 'PUT') return { status: 405, body: '' };
      return path.endsWith('/security-credentials/') ? 'orders-role' : document(KEY, SECRET, TOKEN, hour());
    });
    const env = { AWS_EC2_METADATA_SERVICE_ENDPOINT: imds.url, AWS_EC2_METADATA_DISABLED: 'false' };
    await expect(find(env)).resolves.toMatchObject({ source: 'instance metadata' });
    await expect(find({ ...env, AWS_EC2_METADATA_V1_DISABLED: 'true' })).rejects.toMatchObject({
      code: 'CREDENTIAL_UNAVAILABLE',
    });
  });

  test('by a role, with a session name that stays the same', async () => {
    const sts = await endpoint(({ body }) =>
      assumed(new URLSearchParams(body).get('Action') ?? '', KEY, SECRET, TOKEN, hour()),
    );
    await writeFile(
      config,
      `[profile base]\naws_access_key_id = BASE\naws_secret_access_key = base-secret\n[profile role]\nrole_arn = ${ROLE}\nsource_profile = base\n`,
    );
    const env = { ...environment, AWS_ENDPOINT_URL_STS: sts.url };
    await expect(find(env, { roleArn: ROLE, externalId: 'ext-1' })).resolves.toMatchObject({
      credentials: { accessKeyId: KEY, sessionToken: TOKEN },
      source: expect.stringContaining(`role ${ROLE} by environment`),
    });
    await find(env, { roleArn: ROLE, roleSessionName: 'my-name' });
    await find(env, { profile: 'role' });
    const forms = sts.asked.map(({ body }) => new URLSearchParams(body));
    expect(forms.map((form) => [form.get('Action'), form.get('RoleSessionName'), form.get('ExternalId')])).toEqual([
      ['AssumeRole', 'countersign-orders', 'ext-1'],
      ['AssumeRole', 'my-name', null],
      ['AssumeRole', 'countersign-orders', null],
    ]);
    expect(sts.asked[2]?.headers.authorization).toContain('Credential=BASE/');
  });

  test('by roles on top of each other, and of keys beside the role', async () => {
    const sts = await endpoint(({ body }) =>
      assumed(new URLSearchParams(body).get('Action') ?? '', KEY, SECRET, TOKEN, hour()),
    );
    await writeFile(
      config,
      `[profile one]\nrole_arn = ${ROLE}1\nsource_profile = half\nrole_session_name = given\nduration_seconds = 900\n[profile half]\nrole_arn = ${ROLE}0\nsource_profile = two\n[profile two]\nrole_arn = ${ROLE}2\nsource_profile = two\naws_access_key_id = BASE\naws_secret_access_key = base-secret\n[profile machine]\nrole_arn = ${ROLE}3\ncredential_source = Environment\n[profile round]\nrole_arn = ${ROLE}4\nsource_profile = about\n[profile about]\nrole_arn = ${ROLE}5\nsource_profile = round\n[profile factor]\nrole_arn = ${ROLE}6\nsource_profile = two\nmfa_serial = arn\n`,
    );
    const env = { AWS_ENDPOINT_URL_STS: sts.url, ...environment };
    await expect(find(env, { profile: 'one' })).resolves.toMatchObject({
      credentials: { accessKeyId: KEY },
      source: 'AWS profile one',
    });
    await find(env, { profile: 'two' });
    await find(env, { profile: 'machine' });
    const forms = sts.asked.map(({ body, headers }) => [
      new URLSearchParams(body).get('RoleArn')?.at(-1),
      new URLSearchParams(body).get('RoleSessionName'),
      new URLSearchParams(body).get('DurationSeconds'),
      headers.authorization?.match(/Credential=(\w+)/)?.[1],
    ]);
    expect(forms).toEqual([
      ['0', 'countersign-orders', null, 'BASE'],
      ['1', 'given', '900', KEY],
      ['2', 'countersign-orders', null, 'BASE'],
      ['3', 'countersign-orders', null, KEY],
    ]);
    await expect(find(env, { profile: 'round' })).rejects.toMatchObject({
      code: 'CREDENTIAL_UNAVAILABLE',
      message: expect.stringContaining('starts from itself'),
    });
    await expect(find(env, { profile: 'factor' })).rejects.toMatchObject({
      code: 'CREDENTIAL_UNAVAILABLE',
      message: expect.stringContaining('second factor'),
    });
  });

  test('by web identity', async () => {
    const sts = await endpoint(({ body }) =>
      assumed(new URLSearchParams(body).get('Action') ?? '', KEY, SECRET, TOKEN, hour()),
    );
    await writeFile(join(folder, 'jwt'), 'the-jwt');
    await expect(
      find({ AWS_WEB_IDENTITY_TOKEN_FILE: join(folder, 'jwt'), AWS_ROLE_ARN: ROLE, AWS_ENDPOINT_URL_STS: sts.url }),
    ).resolves.toMatchObject({ credentials: { accessKeyId: KEY }, source: `web identity as ${ROLE}` });
    const form = new URLSearchParams(sts.asked[0]?.body);
    expect([form.get('Action'), form.get('WebIdentityToken'), form.get('RoleSessionName')]).toEqual([
      'AssumeRoleWithWebIdentity',
      'the-jwt',
      'countersign-orders',
    ]);
  });
});

describe('when there are none', () => {
  test('the error says where was looked and what to set', async () => {
    await writeFile(config, '[default]\nregion = eu-west-1\n');
    await expect(find({})).rejects.toMatchObject({
      code: 'CREDENTIAL_UNAVAILABLE',
      remedy: expect.stringContaining('AWS_PROFILE'),
    });
  });

  test('a profile that does not exist is named', async () => {
    await expect(find({}, { profile: 'nope' })).rejects.toMatchObject({
      code: 'CREDENTIAL_UNAVAILABLE',
      message: expect.stringContaining('no AWS profile nope in'),
    });
  });

  test('an absent AWS SDK is an error with the line that installs it', async () => {
    await writeFile(config, '[profile tool]\nsso_session = s\n');
    const missing: string = '@countersign/absent';
    const absent = () => import(missing) as Promise<never>;
    await expect(findCredentials({ profile: 'tool' }, services({}), '', absent)).rejects.toMatchObject({
      code: 'CREDENTIAL_UNAVAILABLE',
      remedy: 'Run `npm i @aws-sdk/credential-providers@~3.1173.0`.',
    });
  });

  test.each([
    [
      'a session',
      '[profile dev]\nsso_session = s\nsso_account_id = 123456789012\nsso_role_name = r\n[sso-session s]\nsso_region = us-east-1\nsso_start_url = https://countersign-test-none.awsapps.com/start\n',
    ],
    [
      'the old form',
      '[profile dev]\nsso_region = us-east-1\nsso_start_url = https://countersign-test-none.awsapps.com/start\nsso_account_id = 123456789012\nsso_role_name = r\n',
    ],
  ])('a signed-out SSO profile with %s says how to sign in', async (_, text) => {
    await writeFile(config, text);
    await expect(find({}, { profile: 'dev' })).rejects.toMatchObject({
      code: 'LOGIN_REQUIRED',
      remedy: 'Run `aws sso login --profile dev`.',
    });
    const credentials = fresh({}, { profile: 'dev' });
    await expect(credentials.get()).rejects.toMatchObject({ code: 'LOGIN_REQUIRED' });
    expect(credentials.status()).toMatchObject({ state: 'login_required', source: 'AWS profile dev' });
  });

  test('a role on top of a signed-out SSO profile names the profile to sign in with', async () => {
    await writeFile(
      config,
      `[profile roled]\nrole_arn = ${ROLE}\nsource_profile = base\n[profile base]\nsso_session = s\nsso_account_id = 123456789012\nsso_role_name = r\n[sso-session s]\nsso_region = us-east-1\nsso_start_url = https://countersign-test-none.awsapps.com/start\n`,
    );
    await expect(find({}, { profile: 'roled' })).rejects.toMatchObject({
      code: 'LOGIN_REQUIRED',
      remedy: 'Run `aws sso login --profile base`.',
    });
  });

  test('a failing credential_process does not show its command or output', async () => {
    await writeFile(config, `[profile tool]\ncredential_process = sh -c 'echo ${SECRET} >&2; exit 3'\n`);
    const error = (await find({}, { profile: 'tool' }).catch((reason: unknown) => reason)) as Error;
    expect(error).toMatchObject({
      code: 'CREDENTIAL_UNAVAILABLE',
      message: 'The credential_process of AWS profile tool ended with 3.',
    });
    expect(`${error.message} ${String(error.cause)} ${error.stack}`).not.toContain(SECRET);
  });

  test('STS refusing a role is told in its words', async () => {
    const sts = await endpoint(() => ({
      status: 403,
      body: '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User: x is not authorized to perform: sts:AssumeRole</Message></Error></ErrorResponse>',
    }));
    await expect(find({ ...environment, AWS_ENDPOINT_URL_STS: sts.url }, { roleArn: ROLE })).rejects.toMatchObject({
      code: 'CREDENTIAL_UNAVAILABLE',
      message: expect.stringMatching(/AccessDenied.*not authorized to perform: sts:AssumeRole/),
    });
  });

  test('an answer that is not JSON is not quoted', async () => {
    const container = await endpoint(() => `{"SecretAccessKey":"${SECRET}"`);
    const error = (await find({ AWS_CONTAINER_CREDENTIALS_FULL_URI: `${container.url}/creds` }).catch(
      (reason: unknown) => reason,
    )) as Error;
    expect(error).toMatchObject({ code: 'CREDENTIAL_UNAVAILABLE' });
    expect(error.message).not.toContain('canary');
  });
});

describe('an endpoint that is silent', () => {
  test.each([
    ['of a container', (url: string) => ({ AWS_CONTAINER_CREDENTIALS_FULL_URI: url })],
    [
      'of an instance',
      (url: string) => ({ AWS_EC2_METADATA_SERVICE_ENDPOINT: url, AWS_EC2_METADATA_DISABLED: 'false' }),
    ],
    ['of STS', (url: string) => ({ ...environment, AWS_ENDPOINT_URL_STS: url })],
  ])('%s is given up after ten seconds', async (_, env) => {
    const slept: number[] = [];
    let wake = (): void => undefined;
    const reached = new Promise<void>((resolve) => (wake = resolve));
    const { url, asked } = await endpoint(() => (wake(), new Promise<string>(() => undefined)));
    const clock = { now: () => Date.now(), sleep: (ms: number) => (slept.push(ms), reached) };
    const options = 'AWS_ENDPOINT_URL_STS' in env(url) ? { roleArn: ROLE } : {};
    await expect(findCredentials(options, services(env(url), clock), 'us-east-1')).rejects.toMatchObject({
      code: 'TIMEOUT',
    });
    expect(slept).toEqual([10_000]);
    expect(asked).toHaveLength(1);
  });
});

describe('fresh credentials', () => {
  test('are searched once for all that wait', async () => {
    const container = await endpoint(() => document(KEY, SECRET, TOKEN, hour()));
    const credentials = fresh({ AWS_CONTAINER_CREDENTIALS_FULL_URI: `${container.url}/creds` });
    const all = await Promise.all(Array.from({ length: 20 }, () => credentials.get()));
    expect(new Set(all).size).toBe(1);
    expect(container.asked).toHaveLength(1);
    expect(concealed).toEqual(expect.arrayContaining([SECRET, TOKEN]));
    expect(credentials.status()).toMatchObject({
      state: 'ready',
      source: 'container credentials',
      expiresAt: expect.any(Date),
      refreshable: true,
    });
  });

  test('are renewed ahead of their end, without a wait; a failure then is told and held back', async () => {
    const clock = movableClock();
    const answers: (() => void)[] = [];
    let failing = false;
    const container = await endpoint((_, count) => {
      queueMicrotask(() => answers.shift()?.());
      return failing
        ? { status: 400, body: '{"Message":"down"}' }
        : document(`${KEY}${count}`, SECRET, TOKEN, new Date(clock.time + 3_600_000));
    });
    const credentials = fresh({ AWS_CONTAINER_CREDENTIALS_FULL_URI: `${container.url}/creds` }, {}, clock);
    const asked = () => new Promise<void>((resolve) => answers.push(resolve));
    const settled = () => new Promise((resolve) => setTimeout(resolve, 100));
    expect((await credentials.get()).accessKeyId).toBe(`${KEY}1`);
    clock.time += 3_600_000 - 200_000;
    let answered = asked();
    expect((await credentials.get()).accessKeyId).toBe(`${KEY}1`);
    await answered;
    await settled();
    expect((await credentials.get()).accessKeyId).toBe(`${KEY}2`);

    failing = true;
    clock.time += 3_600_000 - 200_000;
    for (let count = 0; count < 2; count++) {
      answered = asked();
      expect((await credentials.get()).accessKeyId).toBe(`${KEY}2`);
      await answered;
      await settled();
    }
    expect(credentials.status()).toMatchObject({
      state: 'ready',
      reason: expect.stringContaining('The last renewal failed'),
    });
    const before = container.asked.length;
    for (let count = 0; count < 50; count++) expect((await credentials.get()).accessKeyId).toBe(`${KEY}2`);
    await settled();
    expect(container.asked).toHaveLength(before);

    failing = false;
    clock.time += 5_000;
    answered = asked();
    await credentials.get();
    await answered;
    await settled();
    expect((await credentials.get()).accessKeyId).not.toBe(`${KEY}2`);
    expect(credentials.status()).not.toHaveProperty('reason');
  });

  test('are read again when a file is edited, and kept when it is broken', async () => {
    const write = (key: string) =>
      writeFile(shared, `[default]\naws_access_key_id = ${key}\naws_secret_access_key = ${SECRET}\n`);
    const clock = movableClock();
    await write('FIRST');
    const credentials = fresh({}, {}, clock);
    expect((await credentials.get()).accessKeyId).toBe('FIRST');
    await write('SECOND0');
    clock.time += 1_000;
    expect((await credentials.get()).accessKeyId).toBe('SECOND0');
    await writeFile(shared, '[default]\naws_access_key_id = TH');
    clock.time += 1_000;
    expect((await credentials.get()).accessKeyId).toBe('SECOND0');
    expect(credentials.status()).toMatchObject({ state: 'ready', reason: expect.stringContaining('failed') });
    await write('THIRD');
    clock.time += 1_000;
    expect((await credentials.get()).accessKeyId).toBe('THIRD');
  });

  test('are searched anew by every caller once the first search failed', async () => {
    await expect(fresh({}).get()).rejects.toMatchObject({ code: 'CREDENTIAL_UNAVAILABLE' });
    const credentials = fresh({ AWS_PROFILE: 'later' });
    await expect(credentials.get()).rejects.toMatchObject({ code: 'CREDENTIAL_UNAVAILABLE' });
    expect(credentials.status()).toMatchObject({ state: 'failed', reason: expect.stringContaining('later') });
    await writeFile(shared, `[later]\naws_access_key_id = ${KEY}\naws_secret_access_key = ${SECRET}\n`);
    await expect(credentials.get()).resolves.toMatchObject({ accessKeyId: KEY });
  });
});

describe.each(Object.entries(forms))('as a %s', (_, server) => {
  const url = 'https://service.us-east-1.amazonaws.com/mcp';
  const call = (id: number) => ({
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id, method: 'ping' }),
  });

  test('credentials replaced on disk are picked up with no failed call', async () => {
    const aws = await startAws();
    open.push(aws);
    const write = (key: string, secret: string) =>
      writeFile(shared, `[default]\naws_access_key_id = ${key}\naws_secret_access_key = ${secret}\n`);
    await write(KEY, SECRET);
    const app = await aws.app(server, { env: { AWS_CONFIG_FILE: config, AWS_SHARED_CREDENTIALS_FILE: shared } });
    const statuses: number[] = [];
    for (let id = 0; id < 20; id++) {
      if (id === 10) {
        await write('AKIDEXAMPLE0000002', 'another-secret-key');
        aws.keys.clear();
        aws.keys.set('AKIDEXAMPLE0000002', { secretAccessKey: 'another-secret-key' });
      }
      statuses.push((await send(app, url, call(id))).status);
    }
    expect(statuses).toEqual(statuses.map(() => 200));
    expect(aws.guard.requests.filter(({ status }) => status === 403).length).toBeLessThanOrEqual(1);
    await app.close();
  });

  test.each(['json', 'xml'] as const)(
    'an expired token costs one renewal for all that were refused (%s)',
    async (dialect) => {
      const aws = await startAws({ dialect });
      open.push(aws);
      const container = await endpoint((_, count) =>
        document(`AKIDEXAMPLE000000${count}`, SECRET, `${TOKEN}${count}`, hour()),
      );
      aws.keys.set('AKIDEXAMPLE0000001', { secretAccessKey: SECRET, sessionToken: `${TOKEN}1` });
      aws.keys.set('AKIDEXAMPLE0000002', { secretAccessKey: SECRET, sessionToken: `${TOKEN}2` });
      const app = await aws.app(server, {
        env: {
          AWS_CONFIG_FILE: config,
          AWS_SHARED_CREDENTIALS_FILE: shared,
          AWS_CONTAINER_CREDENTIALS_FULL_URI: `${container.url}/creds`,
        },
      });
      expect((await send(app, url, call(0))).status).toBe(200);
      aws.keys.set('AKIDEXAMPLE0000001', {
        secretAccessKey: SECRET,
        sessionToken: `${TOKEN}1`,
        expiresAt: new Date(0),
      });
      const answers = await Promise.all(Array.from({ length: 10 }, (_, id) => send(app, url, call(id + 1))));
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
      expect(container.asked).toHaveLength(2);
      await app.close();
    },
  );
});

test('whoami asks STS who the caller is; other status does not', async () => {
  const aws = await startAws();
  open.push(aws);
  const sts = await endpoint(
    () =>
      '<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/orders</Arn><UserId>AIDA</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>',
  );
  const app = await aws.app(forms.method, { env: { ...environment, AWS_ENDPOINT_URL_STS: sts.url } });
  expect(await app.status('orders')).toMatchObject({ state: 'unused', source: 'environment AWS_ACCESS_KEY_ID' });
  expect(sts.asked).toHaveLength(0);
  expect(await app.status('orders', { detail: true })).toMatchObject({
    state: 'ready',
    principal: 'arn:aws:iam::123456789012:user/orders',
    claims: { account: '123456789012' },
  });
  expect(sts.asked[0]?.headers.authorization).toContain('/us-east-1/sts/aws4_request');
  await app.close();
});

test('whoami says that STS refuses the credential, and throws when STS does not answer', async () => {
  const aws = await startAws();
  open.push(aws);
  const sts = await endpoint(() => ({
    status: 403,
    body: '<ErrorResponse><Error><Code>InvalidClientTokenId</Code><Message>The security token included in the request is invalid.</Message></Error></ErrorResponse>',
  }));
  const app = await aws.app(forms.method, { env: { ...environment, AWS_ENDPOINT_URL_STS: sts.url } });
  expect(await app.status('orders', { detail: true })).toMatchObject({
    state: 'failed',
    reason: expect.stringContaining('InvalidClientTokenId: The security token'),
  });
  await app.close();
  const silent = await aws.app(forms.method, { env: { ...environment, AWS_ENDPOINT_URL_STS: 'http://127.0.0.1:1' } });
  await expect(silent.status('orders', { detail: true })).rejects.toMatchObject({ code: 'UNREACHABLE' });
  await silent.close();
});

test('the region comes from the profile where nothing else names it', async () => {
  const aws = await startAws({ region: 'eu-north-1' });
  open.push(aws);
  await writeFile(
    config,
    `[profile dev]\nregion = eu-north-1\naws_access_key_id = ${KEY}\naws_secret_access_key = ${SECRET}\n`,
  );
  const env = { AWS_CONFIG_FILE: config, AWS_SHARED_CREDENTIALS_FILE: shared };
  const server = {
    url: 'https://mcp.example.com/mcp',
    auth: { method: 'aws-sigv4', service: 'service', profile: 'dev' },
  };
  const post = { method: 'POST', body: '1' };
  const app = await aws.app(server, { env });
  expect((await send(app, server.url, post)).status).toBe(200);
  await app.close();
  const without = await aws.app({ ...server, auth: { ...server.auth, profile: 'none' } }, { env });
  await expect(send(without, server.url, post)).rejects.toMatchObject({ code: 'CREDENTIAL_UNAVAILABLE' });
  await without.close();
});
