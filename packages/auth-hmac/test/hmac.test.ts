import { createHash, createHmac } from 'node:crypto';
import { afterEach, expect, test } from '@jest/globals';
import { createCountersign } from '@countersign/core';
import { startGuard, json, type RecordedRequest } from '@countersign/test-servers';
import headers from '@countersign/auth-headers';
import hmac from '@countersign/auth-hmac';

const closing: (() => unknown)[] = [];
afterEach(() => Promise.all(closing.splice(0).map((close) => close())));

const SECRET = 'hmac-secret-canary';

async function sent(entry: Record<string, unknown>, body: string | Uint8Array = '{"a":"ü"}'): Promise<RecordedRequest> {
  const guard = await startGuard({ verify: () => json(200, {}) });
  const url = `${guard.origin}/mcp?q=1`;
  const app = await createCountersign({ plugins: [hmac, headers], servers: { s: { url, ...entry } }, env: { SECRET } });
  closing.push(
    () => app.close(),
    () => guard.close(),
  );
  await (await app.fetch('s')(url, { method: 'POST', body })).arrayBuffer();
  return guard.requests[0] as RecordedRequest;
}

test('signs timestamp and body by default', async () => {
  const { headers: got, body } = await sent({ auth: { method: 'hmac', secret: '${SECRET}' } });
  const expected = createHmac('sha256', SECRET)
    .update(`${String(got['x-timestamp'])}.`)
    .update(body)
    .digest('hex');
  expect(got['x-signature']).toBe(expected);
  expect(Math.abs(Number(got['x-timestamp']) * 1000 - Date.now())).toBeLessThan(60_000);
});

test('any scheme of key, timestamp and signature is configuration', async () => {
  const { headers: got, body } = await sent({
    auth: {
      method: 'hmac',
      secret: Buffer.from(SECRET).toString('base64'),
      secretEncoding: 'base64',
      algorithm: 'sha512',
      encoding: 'base64',
      timestamp: 'iso',
      message: '${request:method}\n${request:path}\n${HMAC_TIMESTAMP}\n${HMAC_NONCE}\n${HMAC_BODY_HASH}',
      headers: { Authorization: 'ACME k1:${HMAC_NONCE}:${HMAC_SIGNATURE}', 'X-Date': '${HMAC_TIMESTAMP}' },
    },
  });
  const [, nonce, signature] = String(got.authorization).split(':');
  const hash = createHash('sha512').update(body).digest('base64');
  const message = `POST\n/mcp?q=1\n${String(got['x-date'])}\n${nonce}\n${hash}`;
  expect(signature).toBe(createHmac('sha512', SECRET).update(message).digest('base64'));
});

test('its variables serve headers beside the url too, rendered last', async () => {
  const { headers: got, body } = await sent({
    headers: { 'X-Sig': 'v1=${HMAC_SIGNATURE}', 'X-At': '${HMAC_TIMESTAMP}' },
    auth: { method: 'hmac', secret: '${SECRET}', headers: {} },
  });
  const message = `${String(got['x-at'])}.${body.toString()}`;
  expect(got['x-sig']).toBe(`v1=${createHmac('sha256', SECRET).update(message).digest('hex')}`);
});

test('a message that holds its own signature is refused', async () => {
  await expect(
    sent({ auth: { method: 'hmac', secret: '${SECRET}', message: '${HMAC_SIGNATURE}' } }),
  ).rejects.toMatchObject({ code: 'AUTH_OPTIONS_INVALID' });
});

test('a body that is not text is signed by its hash, and refused as text', async () => {
  const bytes = new Uint8Array([0xff, 0xfe, 0]);
  await expect(sent({ auth: { method: 'hmac', secret: '${SECRET}' } }, bytes)).rejects.toMatchObject({
    code: 'UNRESOLVED_VARIABLE',
  });
  const { headers: got } = await sent(
    { auth: { method: 'hmac', secret: '${SECRET}', message: '${HMAC_BODY_HASH}' } },
    bytes,
  );
  expect(got['x-signature']).toBe(
    createHmac('sha256', SECRET).update(createHash('sha256').update(bytes).digest('hex')).digest('hex'),
  );
});
