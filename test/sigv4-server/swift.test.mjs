import { createHash } from 'node:crypto';
import { request as send } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sign } from '@countersign/auth-aws-sigv4';
import { ACCESS_KEY, REGION, SECRET_KEY, startSwift } from './swift.mjs';

/** @type {Awaited<ReturnType<typeof startSwift>>} */
let swift;
beforeAll(async () => {
  swift = await startSwift();
});
afterAll(() => swift?.close());

const right = { region: REGION, service: 's3', credentials: { accessKeyId: ACCESS_KEY, secretAccessKey: SECRET_KEY } };

/**
 * Signs, and sends exactly what was signed.
 * @param {string} method @param {string} path @param {{ body?: string | Uint8Array, headers?: Record<string, string>, options?: Partial<import('@countersign/auth-aws-sigv4').SignOptions>, tamper?: (sent: { headers: Record<string, string>, body: string | Uint8Array | undefined }) => void }} [more]
 */
async function exchange(method, path, { body, headers, options, tamper } = {}) {
  const signed = sign({ method, url: swift.url + path, headers, body }, { ...right, ...options });
  const sent = { headers: { ...signed.headers, 'content-length': String(Buffer.byteLength(body ?? '')) }, body };
  tamper?.(sent);
  const url = new URL(signed.url);
  const response = await new Promise((resolve, reject) => {
    send(
      { method, host: url.hostname, port: url.port, path: url.pathname + url.search, headers: sent.headers },
      resolve,
    )
      .on('error', reject)
      .end(sent.body);
  });
  const answer = await text(response);
  return { status: response.statusCode, code: /<Code>([^<]+)/.exec(answer)?.[1], answer };
}

describe('the S3 front end of OpenStack Swift', () => {
  test('takes our signatures: lists, makes a bucket, puts, reads, deletes', async () => {
    expect(await exchange('GET', '/')).toMatchObject({ status: 200 });
    expect(await exchange('PUT', '/orders')).toMatchObject({ status: 200 });
    const body = Uint8Array.from({ length: 70_000 }, (_, index) => index % 256);
    for (const name of [
      'plain',
      'with%20space',
      "q'u(o)t!e*d",
      'a+b',
      'ሴ',
      'dir/under/it',
      '~tilde',
      'percent%25',
      'semi%3Bcolon',
    ]) {
      expect([
        name,
        (await exchange('PUT', `/orders/${name}`, { body, headers: { 'x-amz-meta-odd': '  two   spaces ' } })).status,
      ]).toEqual([name, 200]);
      expect([name, (await exchange('HEAD', `/orders/${name}`)).status]).toEqual([name, 200]);
      expect([name, (await exchange('DELETE', `/orders/${name}`)).status]).toEqual([name, 204]);
    }
    expect(await exchange('GET', '/orders?prefix=a%20b&delimiter=%2F&max-keys=2&marker=')).toMatchObject({
      status: 200,
    });
    expect(await exchange('GET', '/orders?prefix=a+b&max-keys=')).not.toMatchObject({ code: 'SignatureDoesNotMatch' });
    expect(await exchange('GET', '/orders?location')).toMatchObject({ status: 200 });
  });

  test('takes a payload that is left unsigned', async () => {
    expect(
      await exchange('PUT', '/unsigned', { headers: { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' } }),
    ).toMatchObject({ status: 200 });
  });

  test.each([
    ['secret', { credentials: { accessKeyId: ACCESS_KEY, secretAccessKey: 'another' } }, 403, 'SignatureDoesNotMatch'],
    [
      'access key',
      { credentials: { accessKeyId: 'test:nobody', secretAccessKey: SECRET_KEY } },
      403,
      'SignatureDoesNotMatch', // tempauth's word for an unknown key too
    ],
    ['region', { region: 'us-east-1' }, 400, 'AuthorizationHeaderMalformed'],
    ['service', { service: 'execute-api', signBody: true }, 400, 'AuthorizationHeaderMalformed'],
    ['date', { date: new Date(Date.now() - 20 * 60_000) }, 403, 'RequestTimeTooSkewed'],
  ])('refuses a wrong %s', async (_, options, status, code) => {
    expect(await exchange('GET', '/', { options })).toMatchObject({ status, code });
  });

  test('refuses another body than the one signed', async () => {
    await exchange('PUT', '/orders');
    const refused = await exchange('PUT', '/orders/tampered', {
      body: 'signed',
      tamper: (sent) => void (sent.body = 'forged'),
    });
    expect(refused.status).toBe(400);
    const claimed = await exchange('PUT', '/orders/tampered', {
      body: 'signed',
      tamper(sent) {
        sent.body = 'forged';
        sent.headers['x-amz-content-sha256'] = createHash('sha256').update('forged').digest('hex');
      },
    });
    expect(claimed).toMatchObject({ status: 403, code: 'SignatureDoesNotMatch' });
  });

  test.each(['x-amz-date', 'host', 'x-amz-content-sha256', 'x-amz-meta-a'])(
    'refuses a request whose %s was changed',
    async (name) => {
      const refused = await exchange('PUT', '/orders', {
        headers: { 'x-amz-meta-a': 'one' },
        tamper: ({ headers }) =>
          void (headers[name] = `${headers[name]?.slice(0, -1)}${headers[name]?.endsWith('0') ? '1' : '0'}`),
      });
      expect(refused.status).toBeGreaterThanOrEqual(400);
    },
  );
});
