import { afterEach, expect, test } from '@jest/globals';
import { awsSigV4, startGuard } from './index.mjs';

// Signed by aws4, judged by the guard's @smithy/signature-v4: two implementations that nobody here wrote.
/** @type {any} It has no types. */
const { default: aws4 } = await import(/** @type {string} */ ('aws4'));
const KEY = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };
const NOW = Date.parse('2026-11-24T12:00:00Z');

/** @type {import('./index.mjs').Guard[]} */
const open = [];
afterEach(async () => {
  for (const guard of open.splice(0)) await guard.close();
});

/** @param {Partial<Parameters<typeof awsSigV4>[0]>} [options] */
async function guarded(options = {}) {
  const keys = new Map([[KEY.accessKeyId, { secretAccessKey: KEY.secretAccessKey }]]);
  const guard = await startGuard({
    verify: awsSigV4({ keys, region: 'us-east-1', service: 'execute-api', ...options }),
    clock: () => NOW,
  });
  open.push(guard);
  return guard;
}

/**
 * @param {import('./index.mjs').Guard} guard
 * @param {{ at?: number, key?: Record<string, string>, tamper?: (signed: any) => void, [option: string]: unknown }} [options]
 */
async function send(guard, { at = NOW, key = KEY, tamper = () => {}, ...options } = {}) {
  const signed = /** @type {any} */ (
    aws4.sign(
      /** @type {any} */ ({
        host: new URL(guard.origin).host,
        service: 'execute-api',
        region: 'us-east-1',
        method: 'POST',
        path: '/mcp?b=2&a=1&c=x%20y&a=0',
        body: '{"jsonrpc":"2.0"}',
        headers: {
          'Content-Type': 'application/json',
          'X-Amz-Date': new Date(at).toISOString().replace(/[-:]|\.\d+/g, ''),
        },
        ...options,
      }),
      key,
    )
  );
  tamper(signed);
  delete signed.headers.Host;
  delete signed.headers['Content-Length'];
  const answer = await fetch(guard.origin + signed.path, {
    method: signed.method,
    headers: signed.headers,
    body: signed.body ?? null,
  });
  return { status: answer.status, type: answer.headers.get('x-amzn-errortype'), body: await answer.text() };
}

test('accepts what another implementation signed (the guard itself answers 404 behind it)', async () => {
  const guard = await guarded();
  expect(await send(guard)).toMatchObject({ status: 404 });
  expect(await send(guard, { method: 'GET', body: undefined, path: '/a/b/' })).toMatchObject({ status: 404 });
});

test.each([
  [
    'another secret',
    { key: { ...KEY, secretAccessKey: 'other' } },
    'InvalidSignatureException',
    'The request signature we calculated does not match',
  ],
  [
    'another body',
    { tamper: (/** @type {any} */ it) => (it.body = '{}') },
    'InvalidSignatureException',
    'The request signature we calculated does not match',
  ],
  [
    'another path',
    { tamper: (/** @type {any} */ it) => (it.path = '/other') },
    'InvalidSignatureException',
    'The request signature we calculated does not match',
  ],
  [
    'another signed header',
    { tamper: (/** @type {any} */ it) => (it.headers['Content-Type'] = 'text/plain') },
    'InvalidSignatureException',
    'does not match',
  ],
  [
    'an old clock',
    { at: NOW - 301_000 },
    'InvalidSignatureException',
    'Signature expired: 20261124T115459Z is now earlier than 20261124T115500Z (20261124T120000Z - 5 min.)',
  ],
  [
    'a fast clock',
    { at: NOW + 301_000 },
    'InvalidSignatureException',
    'Signature not yet current: 20261124T120501Z is still later than 20261124T120500Z',
  ],
  [
    'another region',
    { region: 'eu-west-1' },
    'InvalidSignatureException',
    "Credential should be scoped to a valid region, not 'eu-west-1'.",
  ],
  [
    'another service',
    { service: 'lambda' },
    'InvalidSignatureException',
    "Credential should be scoped to correct service: 'execute-api'.",
  ],
  [
    'an unknown key',
    { key: { ...KEY, accessKeyId: 'AKIDOTHER' } },
    'UnrecognizedClientException',
    'The security token included in the request is invalid.',
  ],
  [
    'an unexpected session token',
    { key: { ...KEY, sessionToken: 'T' } },
    'UnrecognizedClientException',
    'The security token included in the request is invalid.',
  ],
  [
    'no signature',
    { tamper: (/** @type {any} */ it) => delete it.headers.Authorization },
    'MissingAuthenticationTokenException',
    'Missing Authentication Token',
  ],
  [
    'half a signature',
    { tamper: (/** @type {any} */ it) => (it.headers.Authorization = 'AWS4-HMAC-SHA256 Credential=undefined') },
    'IncompleteSignatureException',
    'Authorization header requires',
  ],
])('refuses %s as AWS does', async (_, options, code, message) => {
  const { status, type, body } = await send(await guarded(), /** @type {any} */ (options));
  expect({ status, type }).toEqual({ status: 403, type: code });
  expect(JSON.parse(body)).toEqual({ __type: code, message: expect.stringContaining(message) });
});

test('wants the session token of a temporary key, and says when it has expired', async () => {
  const keys = new Map([['ASIA', { secretAccessKey: 's', sessionToken: 'T', expiresAt: new Date(NOW + 1) }]]);
  const key = { accessKeyId: 'ASIA', secretAccessKey: 's' };
  const guard = await guarded({ keys });

  expect(await send(guard, { key: { ...key, sessionToken: 'T' } })).toMatchObject({ status: 404 });
  expect(await send(guard, { key })).toMatchObject({ status: 403 });
  keys.set('ASIA', { secretAccessKey: 's', sessionToken: 'T', expiresAt: new Date(NOW) });
  expect(await send(guard, { key: { ...key, sessionToken: 'T' } })).toMatchObject({
    status: 403,
    type: 'ExpiredTokenException',
  });
});

test('speaks XML, where the service does', async () => {
  const { body } = await send(await guarded({ dialect: 'xml' }), { key: { ...KEY, secretAccessKey: 'other' } });
  expect(body).toContain('<Code>SignatureDoesNotMatch</Code>');
});

test('refuses a signature that was used before, where asked to', async () => {
  const guard = await guarded({ once: true });
  expect(await send(guard)).toMatchObject({ status: 404 });
  expect(await send(guard)).toMatchObject({ status: 403 });
});
