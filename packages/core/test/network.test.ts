import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import authBearer from '@countersign/auth-bearer';
import authHeaders from '@countersign/auth-headers';
import {
  apiKey,
  createAuthority,
  startCatcher,
  startConnectProxy,
  startGuard,
  startRedirector,
  type Authority,
} from '@countersign/test-servers';
import { createCountersign, type Countersign } from '../src/index.js';

// What a server, a proxy or a certificate can do to a request with a credential, on real sockets.

const CANARY = 'canary-8d1f0e2b7c';
const MESSAGE = {
  method: 'POST',
  body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: { note: CANARY } }),
};

let authority: Authority;
beforeAll(async () => {
  authority = await createAuthority();
});
const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});
afterAll(() => authority.close());

function closing<T extends { close(): Promise<void> }>(closable: T): T {
  open.push(closable);
  return closable;
}

/** An instance with one server, and that server's fetch: the exchange's face that every transport uses. */
async function fetchOf(server: Record<string, unknown>, env: Record<string, string> = {}): Promise<typeof fetch> {
  const app: Countersign = await createCountersign({
    plugins: [authBearer, authHeaders],
    servers: { it: server },
    env,
  });
  return closing(app).fetch('it');
}

/** Reads the answer to its end, so that its connection is free again. */
async function statusOf(answer: Promise<Response>): Promise<number> {
  const response = await answer;
  await response.arrayBuffer();
  return response.status;
}

const ok = () => ({ status: 200, headers: { 'content-type': 'application/json' }, body: '{}' });

describe('a redirect', () => {
  const CREDENTIALS = [
    ['a bearer token', { auth: { method: 'bearer', token: CANARY } }],
    ['an API key', { headers: { 'X-API-Key': CANARY } }],
    ['a cookie', { headers: { Cookie: `session=${CANARY}` } }],
  ] as const;
  const cases = [301, 302, 303, 307, 308].flatMap((status) => CREDENTIALS.map((each) => [status, ...each] as const));

  test.each(cases)('%s to another port carries nothing there: %s', async (status, _, auth) => {
    const catcher = closing(await startCatcher());
    const guard = closing(await startRedirector({ status, location: `${catcher.origin}/mcp` }));
    const fetch = await fetchOf({ url: guard.url.href, ...auth });

    await expect(fetch(guard.url, MESSAGE)).rejects.toMatchObject({ code: 'REDIRECT_REFUSED' });
    await expect(fetch(guard.url)).rejects.toMatchObject({ code: 'REDIRECT_REFUSED' });
    expect([catcher.bytes.toString(), catcher.connections]).toEqual(['', 0]);
  });

  test('from https to http on the same host carries nothing there', async () => {
    const catcher = closing(await startCatcher());
    const location = `${catcher.origin.replace('127.0.0.1', 'localhost')}/mcp`;
    const guard = closing(await startRedirector({ location, tls: { authority } }));
    const url = guard.url.href.replace('127.0.0.1', 'localhost');
    const fetch = await fetchOf({ url, ca: authority.caFile, auth: { method: 'bearer', token: CANARY } });

    await expect(fetch(url, MESSAGE)).rejects.toMatchObject({ code: 'REDIRECT_REFUSED' });
    expect(catcher.connections).toBe(0);
  });

  test.each(['', 'http://[', 'javascript:alert(1)', 'file:///etc/passwd', '//evil.example.com/mcp'])(
    'to %j is refused',
    async (location) => {
      const guard = closing(await startRedirector({ location }));
      const fetch = await fetchOf({ url: guard.url.href, auth: { method: 'bearer', token: CANARY } });
      await expect(fetch(guard.url, MESSAGE)).rejects.toMatchObject({ code: 'REDIRECT_REFUSED' });
    },
  );
});

test('computed headers are new for each request: 200 calls over 10 connections pass, a stored one does not', async () => {
  const check = apiKey({ key: CANARY });
  const guard = closing(await startGuard({ verify: async (head, body) => (await check(head, body)) ?? ok() }));
  const headers = { 'X-API-Key': '${KEY}', 'X-Timestamp': '${TIMESTAMP}', 'X-Request-ID': '${REQUEST_ID}' };
  const server = { url: guard.url.href, headers };
  const fetches = await Promise.all(Array.from({ length: 10 }, () => fetchOf(server, { KEY: CANARY })));

  const statuses = await Promise.all(
    fetches.map(async (fetch) => {
      const seen = [];
      for (let call = 0; call < 20; call++) seen.push(await statusOf(fetch(guard.url, MESSAGE)));
      return seen;
    }),
  );
  expect(new Set(statuses.flat())).toEqual(new Set([200]));
  expect(guard.requests).toHaveLength(200);

  const { 'x-timestamp': timestamp, 'x-request-id': id } = guard.requests[0]?.headers ?? {};
  const stored = { ...headers, 'X-Timestamp': String(timestamp), 'X-Request-ID': String(id) };
  const fetch = await fetchOf({ url: guard.url.href, headers: stored }, { KEY: CANARY });
  expect(await statusOf(fetch(guard.url, MESSAGE))).toBe(401);
});

test.each([`${CANARY}\nmore`, `${CANARY}\r\nX-Evil: 1`, `${CANARY}\0`, `${CANARY}\u20ac`])(
  'with the secret %j nothing is sent, and the error does not show it',
  async (secret) => {
    const guard = closing(await startGuard({}));
    const fetch = await fetchOf({ url: guard.url.href, headers: { 'X-API-Key': '${KEY}' } }, { KEY: secret });
    const error = await fetch(guard.url, MESSAGE).then(
      () => undefined,
      (reason: Error) => reason,
    );
    expect(error).toMatchObject({ code: 'INVALID_HEADER' });
    expect(error?.message).toMatch(/(?=.*X-API-Key)(?=.*KEY)/i);
    expect(`${String(error)} ${JSON.stringify(error)} ${error?.stack} ${String(error?.cause)}`).not.toContain(CANARY);
    expect(guard.requests).toEqual([]);
  },
);

test.each([
  ['expired', () => authority.expired('localhost')],
  ['self-signed', () => authority.selfSigned('localhost')],
  ["another host's", () => authority.certificate('other.example.com')],
])('to a server whose certificate is %s no byte of the request is sent', async (_, issue) => {
  const catcher = closing(await startCatcher({ tls: { authority, certificate: await issue() } }));
  const url = `https://localhost:${catcher.port}/mcp`;
  const fetch = await fetchOf({ url, ca: authority.caFile, auth: { method: 'bearer', token: CANARY } });
  await expect(fetch(url, MESSAGE)).rejects.toMatchObject({ code: 'UNREACHABLE' });
  expect(catcher.bytes.length).toBe(0);
});

test('one tunnel through the proxy serves one request after another', async () => {
  const guard = closing(await startGuard({ tls: { authority }, verify: ok }));
  const proxy = closing(await startConnectProxy({ to: guard }));
  const url = 'https://api.example.com/mcp';
  const fetch = await fetchOf({ url, ca: authority.caFile }, { HTTPS_PROXY: proxy.url.href });
  for (let request = 0; request < 5; request++) expect(await statusOf(fetch(url, MESSAGE))).toBe(200);
  expect(proxy.hosts).toEqual(['api.example.com:443']);
});
