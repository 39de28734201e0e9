import { afterAll, afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { fileURLToPath } from 'node:url';
import headers from '@countersign/auth-headers';
import {
  createCountersign,
  isCountersignError,
  nodeSender,
  tokens,
  type Plugin,
  type SenderOptions,
} from '@countersign/core';
import streamableHttp from '@countersign/transport-streamable-http';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import sigV4 from '../src/index.js';
import { closeAuthority, environment, forms, KEY, SECRET, send, startAws, TOKEN, type Aws } from './setting.js';

let aws: Aws;
beforeEach(async () => {
  aws = await startAws();
});
afterEach(() => aws.close());
afterAll(closeAuthority);
jest.setTimeout(60_000); // each connection through TLS costs two handshakes

const call = (id: number) => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ jsonrpc: '2.0', id, method: 'ping' }),
});
const url = 'https://service.us-east-1.amazonaws.com/mcp';

describe.each(Object.entries(forms))('as a %s', (_, server) => {
  test('a request is accepted by a server that recomputes the signature', async () => {
    const app = await aws.app(server);
    const response = await send(app, url, call(1));
    expect([response.status, await response.text()]).toEqual([200, 'accepted']);
    expect(aws.guard.requests[0]?.headers).toMatchObject({
      authorization: expect.stringMatching(
        /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE0000001\/\d{8}\/us-east-1\/service\/aws4_request, SignedHeaders=amz-sdk-invocation-id;content-type;host;x-amz-date, Signature=[0-9a-f]{64}$/,
      ),
      'x-amz-date': expect.stringMatching(/^\d{8}T\d{6}Z$/),
    });
    expect(aws.guard.requests[0]?.headers).not.toHaveProperty('x-amz-security-token');
    await app.close();
  });

  test('a session token goes along, signed', async () => {
    aws.keys.set(KEY, { secretAccessKey: SECRET, sessionToken: TOKEN });
    const app = await aws.app(server, { env: { ...environment, AWS_SESSION_TOKEN: TOKEN } });
    expect((await send(app, url, call(1))).status).toBe(200);
    expect(aws.guard.requests[0]?.headers['x-amz-security-token']).toBe(TOKEN);
    expect(aws.guard.requests[0]?.headers['authorization']).toContain('x-amz-date;x-amz-security-token,');
    await app.close();
  });

  test('200 calls, twenty at a time, equal ones among them, each have a signature of their own', async () => {
    const app = await aws.app(server);
    let next = 0;
    const statuses: number[] = [];
    const caller = async (): Promise<void> => {
      while (next < 200) {
        const response = await send(app, url, call(next++ % 7));
        await response.text();
        statuses.push(response.status);
      }
    };
    await Promise.all(Array.from({ length: 20 }, caller));
    expect(statuses).toEqual(Array.from({ length: 200 }, () => 200));
    expect(new Set(aws.guard.requests.map(({ headers }) => headers.authorization)).size).toBe(200);
    await app.close();
  }, 120_000);

  test('GET streams, DELETE, queries and bodies of bytes are signed too', async () => {
    const app = await aws.app(server);
    for (const [path, init] of [
      ['', { method: 'GET', headers: { accept: 'text/event-stream' } }],
      ['', { method: 'DELETE' }],
      [
        '/runtimes/arn%3Aaws%3Abedrock-agentcore%3Aus-east-1%3A1%3Aruntime%2Fdemo/invocations?qualifier=a+b&empty=&A=1&A=0',
        call(1),
      ],
      ['?q=%2B%20%7E', { method: 'POST', body: Uint8Array.from([0, 255, 128, 10]) }],
      ['', { method: 'POST', headers: { 'content-type': 'text/plain' }, body: 'ሴ💡'.repeat(20_000) }],
    ] as const) {
      expect((await send(app, url + path, init)).status).toBe(200);
    }
    await app.close();
  });

  test.each([20, -20, 60, -60])('a server clock %d minutes off costs one retry, once', async (minutes) => {
    aws.skew = minutes * 60_000;
    const app = await aws.app(server);
    for (const id of [1, 2, 3]) expect((await send(app, url, call(id))).status).toBe(200);
    expect(aws.guard.requests.map(({ status }) => status)).toEqual([403, 200, 200, 200]);
    await app.close();
  });

  test('a refusal that no renewal mends is passed on, after one attempt', async () => {
    const app = await aws.app(server, { env: { ...environment, AWS_SECRET_ACCESS_KEY: 'another-secret' } });
    const response = await send(app, url, call(1));
    expect(response.status).toBe(403);
    expect(await response.text()).toContain('The request signature we calculated does not match');
    expect(aws.guard.requests).toHaveLength(1);
    await app.close();
  });

  test('half a credential is an error, and nothing is sent', async () => {
    const app = await aws.app(server, { env: { AWS_ACCESS_KEY_ID: KEY } });
    await expect(send(app, url, call(1))).rejects.toMatchObject({
      code: 'CREDENTIAL_UNAVAILABLE',
      message: expect.stringContaining('AWS_SECRET_ACCESS_KEY is not set'),
    });
    expect(aws.guard.requests).toHaveLength(0);
    await app.close();
  });

  test('no secret is in a log line, a status, a preview to be shown or an error', async () => {
    aws.keys.set(KEY, { secretAccessKey: SECRET, sessionToken: TOKEN, expiresAt: new Date(0) });
    const app = await aws.app(server, { env: { ...environment, AWS_SESSION_TOKEN: TOKEN } });
    await send(app, url, call(1));
    const shown = (await app.preview('orders')).headers.filter(({ sensitive }) => !sensitive);
    const heap = JSON.stringify([aws.said, await app.status('orders'), shown, app.check(), app.installed()]);
    for (const secret of [SECRET, TOKEN]) {
      for (const spelling of [
        secret,
        Buffer.from(secret).toString('base64'),
        encodeURIComponent(secret),
        JSON.stringify(secret).slice(1, -1),
      ])
        expect(heap).not.toContain(spelling);
      expect(app.redact(`x ${secret} y`)).not.toContain(secret);
    }
    await app.close();
  });
});

test('the configuration file that people have works as it is', async () => {
  const trusting: Plugin = {
    name: 'trusting',
    apiVersion: 1,
    register: (container) =>
      container.register(tokens.senderFactory, {
        useValue: (options: SenderOptions) => nodeSender({ ...options, tls: { ca: aws.ca } }),
      }),
  };
  const configFile = fileURLToPath(new URL('../../cli/test/fixtures/configs/aws.json', import.meta.url));
  const app = await createCountersign({
    plugins: [sigV4, headers, streamableHttp, trusting],
    configFile,
    env: { ...environment, HTTPS_PROXY: aws.proxy },
  });
  const response = await app.fetch('aws-service')(url, call(1));
  expect([response.status, await response.text()]).toEqual([200, 'accepted']);
  expect(app.check()).toMatchObject({ ok: true, errors: [] });
  aws.guard.requests.length = 0;
  aws.keys.clear();
  const transport = await app.transport('aws-service');
  await expect(new Client({ name: 'test', version: '1' }).connect(transport)).rejects.toMatchObject({
    code: 'FORBIDDEN',
    message: expect.stringContaining(
      'UnrecognizedClientException: The security token included in the request is invalid.',
    ),
    remedy: expect.stringContaining('AWS does not know the access key'),
  });
  await app.close();
});

test('an AWS host whose service nobody named is an error that shows the table and the line to add', async () => {
  const app = await aws.app({ url: 'https://mcp.example.com/mcp', auth: { method: 'aws-sigv4' } });
  await expect(send(app, 'https://mcp.example.com/mcp', call(1))).rejects.toMatchObject({
    code: 'AUTH_OPTIONS_INVALID',
    message: expect.stringMatching(/mcp\.example\.com .*\*\.lambda-url\.<region>\.on\.aws \(lambda\)/),
    remedy: expect.stringContaining('"service"'),
  });
  await app.close();
});

test('service, region, credentials, payload and further signed headers can be configured', async () => {
  const other = await startAws({ service: 'vpc-lattice-svcs', region: 'eu-west-1', unsignedPayload: true });
  const app = await other.app(
    {
      url: 'https://mcp.example.com/mcp',
      headers: { 'X-Team': 'orders' },
      auth: {
        method: 'aws-sigv4',
        service: 'vpc-lattice-svcs',
        region: 'eu-west-1',
        payload: 'unsigned',
        signedHeaders: ['X-Team'],
        credentials: { accessKeyId: '${MY_KEY}', secretAccessKey: '${MY_SECRET}' },
      },
    },
    { env: { MY_KEY: KEY, MY_SECRET: SECRET } },
  );
  expect((await send(app, 'https://mcp.example.com/mcp', call(1))).status).toBe(200);
  expect(other.guard.requests[0]?.headers).toMatchObject({
    'x-amz-content-sha256': 'UNSIGNED-PAYLOAD',
    authorization: expect.stringContaining('x-amz-content-sha256;x-amz-date;x-team,'),
  });
  await app.close();
  await other.close();
});

test('stale headers of the configuration do not reach the server', async () => {
  const app = await aws.app({
    ...forms.method,
    headers: {
      'X-Amz-Security-Token': 'stale',
      Date: 'Thu, 01 Jan 1970 00:00:00 GMT',
      'X-Amz-Date': '20150830T123600Z',
    },
  });
  expect((await send(app, url, call(1))).status).toBe(200);
  expect(aws.guard.requests[0]?.headers).not.toHaveProperty('x-amz-security-token');
  await app.close();
});

describe('a variable without a signature', () => {
  const other = 'https://mcp.example.com/mcp';

  test('has its value for an AWS host', async () => {
    const app = await aws.app({ url, headers: { 'X-Caller': '${AWS_REGION}' } });
    await send(app, url, call(1));
    expect(aws.guard.requests[0]?.headers['x-caller']).toBe('us-east-1');
    expect(aws.guard.requests[0]?.headers).not.toHaveProperty('authorization');
    await app.close();
  });

  test('has none for another host, and the error names the line to add', async () => {
    const app = await aws.app({ url: other, headers: { 'X-Caller': '${AWS_REGION}' } });
    const error: unknown = await app
      .fetch('orders')(other, call(1))
      .catch((reason: unknown) => reason);
    expect(isCountersignError(error, 'UNRESOLVED_VARIABLE') && error.remedy).toContain(
      '"auth": { "method": "aws-sigv4"',
    );
    expect(aws.guard.requests).toHaveLength(0);
    await app.close();
  });

  test('TIMESTAMP is ISO 8601 on any host', async () => {
    const app = await aws.app({ url: other, headers: { 'X-Timestamp': '${TIMESTAMP}' } });
    await send(app, other, call(1));
    expect(aws.guard.requests[0]?.headers['x-timestamp']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    await app.close();
  });
});
