import { readFileSync, existsSync } from 'node:fs';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { request } from 'node:https';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { connect as connectTls } from 'node:tls';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import {
  clientCertificate,
  createAuthority,
  startCatcher,
  startConnectProxy,
  startGuard,
  startRedirector,
} from './index.mjs';

/** @type {import('./index.mjs').Authority} */
let authority;
beforeAll(async () => {
  authority = await createAuthority();
});
afterAll(async () => {
  await authority.close();
  expect(existsSync(authority.folder)).toBe(false);
});

/** @type {{ close(): Promise<void> }[]} */
const open = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

/** @template {{ close(): Promise<void> }} T @param {T} closable */
function closing(closable) {
  open.push(closable);
  return closable;
}

/** @param {number} port @param {import('node:https').RequestOptions} [options] @returns {Promise<number>} */
function status(port, options = {}) {
  return new Promise((resolve, reject) => {
    request(
      { host: '127.0.0.1', port, ca: authority.ca, servername: 'localhost', agent: false, ...options },
      (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      },
    )
      .on('error', reject)
      .end();
  });
}

test('issues a certificate for whatever host is asked', async () => {
  const guard = closing(await startGuard({ tls: { authority } }));
  for (const servername of ['api.example.com', 'service.us-east-1.amazonaws.com', 'localhost']) {
    expect(await status(guard.port, { servername, headers: { host: servername } })).toBe(404);
  }
  expect(guard.requests.map(({ servername, headers }) => [servername, headers.host])).toEqual([
    ['api.example.com', 'api.example.com'],
    ['service.us-east-1.amazonaws.com', 'service.us-east-1.amazonaws.com'],
    ['localhost', 'localhost'],
  ]);
});

test('serves an address without a server name', async () => {
  const guard = closing(await startGuard({ tls: { authority } }));
  const socket = connectTls({ host: '127.0.0.1', port: guard.port, ca: authority.ca });
  await once(socket, 'secureConnect');
  expect(socket.authorized).toBe(true);
  socket.destroy();
});

test.each([
  ['expired', () => authority.expired('localhost'), 'CERT_HAS_EXPIRED'],
  ['self-signed', () => authority.selfSigned('localhost'), 'DEPTH_ZERO_SELF_SIGNED_CERT'],
  ["another host's", () => authority.certificate('other.example.com'), 'ERR_TLS_CERT_ALTNAME_INVALID'],
])('can show a certificate that is %s', async (_, issue, code) => {
  const guard = closing(await startGuard({ tls: { authority, certificate: await issue() } }));
  await expect(status(guard.port)).rejects.toMatchObject({ code });
});

test('knows a client by its certificate, read from the files', async () => {
  const guard = closing(
    await startGuard({ tls: { authority, clientCertificates: 'asked' }, verify: clientCertificate('alice') }),
  );
  const { certFile, keyFile } = await authority.client('alice');
  const bob = await authority.client('bob');

  expect(
    await status(guard.port, {
      cert: readFileSync(certFile),
      key: readFileSync(keyFile),
      ca: readFileSync(authority.caFile),
    }),
  ).toBe(404);
  expect(await status(guard.port, { cert: bob.cert, key: bob.key })).toBe(403);
  expect(await status(guard.port)).toBe(403);
});

test('refuses the handshake without a client certificate, where one is required', async () => {
  const guard = closing(await startGuard({ tls: { authority, clientCertificates: 'required' } }));
  await expect(status(guard.port)).rejects.toThrow();
});

/** @param {URL} proxy @param {string} host @param {Record<string, string>} [headers] */
async function tunnel(proxy, host, headers = {}) {
  const asking = httpRequest({
    host: proxy.hostname,
    port: proxy.port,
    method: 'CONNECT',
    path: host,
    headers,
    agent: false,
  });
  asking.end();
  const [response, socket] = await once(asking, 'connect');
  return { status: response.statusCode, socket };
}

test('leads every host to one guard, and records which were asked', async () => {
  const guard = closing(await startGuard({ tls: { authority } }));
  const proxy = closing(await startConnectProxy({ to: guard }));
  for (const servername of ['api.example.com', 'b.example.com']) {
    const { socket } = await tunnel(proxy.url, `${servername}:443`);
    const secure = connectTls({ socket, servername, ca: authority.ca });
    secure.end(`GET /mcp HTTP/1.1\r\nHost: ${servername}\r\nConnection: close\r\n\r\n`);
    expect(await text(secure)).toContain('404 Not Found');
  }
  expect(proxy.hosts).toEqual(['api.example.com:443', 'b.example.com:443']);
  expect(guard.requests).toHaveLength(2);
});

test('wants the password of the proxy, where there is one', async () => {
  const guard = closing(await startGuard({ tls: { authority } }));
  const proxy = closing(await startConnectProxy({ to: guard, password: 'user:secret' }));

  expect((await tunnel(proxy.url, 'a.example.com:443')).status).toBe(407);
  const credential = `Basic ${Buffer.from('user:secret').toString('base64')}`;
  const { status: accepted, socket } = await tunnel(proxy.url, 'a.example.com:443', {
    'proxy-authorization': credential,
  });
  socket.destroy();
  expect(accepted).toBe(200);
  expect(proxy.hosts).toEqual(['a.example.com:443']);
  expect(proxy.url.password).toBe('secret');
});

test('passes plain http on in its absolute form', async () => {
  const guard = closing(await startGuard({ verify: () => ({ status: 200, body: 'ok' }) }));
  const proxy = closing(await startConnectProxy({ to: (host) => (host === 'a.example.com' ? guard : undefined) }));
  const asking = httpRequest({
    host: '127.0.0.1',
    port: proxy.port,
    path: 'http://a.example.com/mcp',
    agent: false,
  }).end();
  const [response] = await once(asking, 'response');
  response.resume();

  expect(response.statusCode).toBe(200);
  expect(guard.requests).toMatchObject([{ path: '/mcp', headers: { host: 'a.example.com' } }]);
  expect((await tunnel(proxy.url, 'b.example.com:443')).status).toBe(502);
});

test('keeps every byte that reaches the origin that must see nothing', async () => {
  const catcher = closing(await startCatcher());
  expect(catcher.connections).toBe(0);
  expect(await (await fetch(`${catcher.origin}/mcp`, { headers: { 'x-canary': 'sesame' } })).json()).toEqual({});
  expect(catcher.bytes.toString()).toContain('x-canary: sesame');

  const silent = connect(catcher.port, '127.0.0.1');
  await once(silent, 'connect');
  silent.destroy();
  await once(silent, 'close');
  expect(catcher.connections).toBe(2);
});

test('keeps what was sent under TLS, decrypted', async () => {
  const catcher = closing(await startCatcher({ tls: { authority } }));
  expect(await status(catcher.port, { headers: { 'x-canary': 'sesame' } })).toBe(200);
  expect(catcher.bytes.toString()).toContain('x-canary: sesame');
});

test('redirects, always or by the request', async () => {
  const guard = closing(
    await startRedirector({
      status: 308,
      location: ({ path }) => (path === '/mcp' ? '/other' : undefined),
      verify: () => ({ status: 200 }),
    }),
  );
  const first = await fetch(guard.url, { redirect: 'manual' });
  expect([first.status, first.headers.get('location')]).toEqual([308, '/other']);
  expect((await fetch(guard.url)).status).toBe(200);
});
