import { createServer, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { beforeAll, afterAll, describe, expect, test } from '@jest/globals';
import { nodeSender, type SenderOptions } from '@countersign/core';
import {
  clientCertificate,
  createAuthority,
  json as answer,
  startCatcher,
  startConnectProxy,
  startGuard,
  type Authority,
} from '@countersign/test-servers';
import { guardedFetch } from '../src/guarded-fetch.js';
import { onClose } from './support.js';

let authority: Authority;
beforeAll(async () => {
  authority = await createAuthority();
});
afterAll(() => authority.close());

const ok = () => answer(200, { ok: true });

async function send(url: string, options: Partial<SenderOptions> = {}) {
  const sender = nodeSender({ tls: {}, env: {}, ...options });
  onClose(() => sender.close());
  const response = await sender.send({ method: 'POST', url: new URL(url), headers: [['x-a', '1']], body: '{}' });
  response.body.resume();
  return response.status;
}

async function guard(options: Parameters<typeof startGuard>[0] = {}) {
  const started = await startGuard({ verify: ok, ...options });
  onClose(() => started.close());
  return started;
}

describe('TLS', () => {
  test('trusts the given authority, and only with it', async () => {
    const { origin } = await guard({ tls: { authority } });
    await expect(send(origin)).rejects.toMatchObject({
      code: 'UNREACHABLE',
      remedy: expect.stringContaining('NODE_EXTRA_CA_CERTS'),
    });
    expect(await send(origin, { tls: { ca: authority.ca } })).toBe(200);
  });

  test.each(['expired', 'selfSigned', 'wrongHost'] as const)('refuses a certificate that is %s', async (fault) => {
    const certificate =
      fault === 'wrongHost' ? await authority.certificate('elsewhere.example') : await authority[fault]('127.0.0.1');
    const { origin, requests } = await guard({ tls: { authority, certificate } });
    await expect(send(origin, { tls: { ca: authority.ca } })).rejects.toMatchObject({ code: 'UNREACHABLE' });
    expect(requests).toEqual([]);
  });

  test('refuses files that hold no certificate or key, without their content', () => {
    for (const tls of [
      { cert: 'canary', key: 'canary' },
      { ca: 'x', cert: authority.ca, key: 'canary' },
    ]) {
      expect(() => nodeSender({ tls, env: {} })).toThrow(
        expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.not.stringContaining('canary') }),
      );
    }
  });

  test('shows the client certificate', async () => {
    const { cert, key } = await authority.client('countersign-client');
    const { origin } = await guard({
      tls: { authority, clientCertificates: 'required' },
      verify: async (head, body) => (await clientCertificate('countersign-client')(head, body)) ?? ok(),
    });
    expect(await send(origin, { tls: { ca: authority.ca, cert, key } })).toBe(200);
    await expect(send(origin, { tls: { ca: authority.ca } })).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });
});

describe('a proxy', () => {
  test('leads https through CONNECT, with its password, and the server sees the host that was asked', async () => {
    const { port, requests } = await guard({ tls: { authority } });
    const proxy = await startConnectProxy({ to: { port }, password: 'user:pass' });
    onClose(() => proxy.close());
    const through = { tls: { ca: authority.ca }, env: { HTTPS_PROXY: proxy.url.href } };
    expect(await send('https://api.example.com/mcp', through)).toBe(200);
    expect([proxy.hosts, requests[0]?.headers.host, requests[0]?.headers['proxy-authorization']]).toEqual([
      ['api.example.com:443'],
      'api.example.com',
      undefined,
    ]);
  });

  test('that wants another password is UNREACHABLE, and its answer is not taken for the server’s', async () => {
    const proxy = await startConnectProxy({ to: { port: 1 }, password: 'user:pass' });
    onClose(() => proxy.close());
    await expect(
      send('https://api.example.com/', { env: { HTTPS_PROXY: `http://user:wrong@127.0.0.1:${proxy.port}` } }),
    ).rejects.toMatchObject({ code: 'UNREACHABLE', message: expect.stringContaining('407') });
  });

  test('is passed by for NO_PROXY and for this machine', async () => {
    const { origin } = await guard();
    expect(await send(origin, { env: { HTTP_PROXY: 'http://127.0.0.1:1', HTTPS_PROXY: 'http://127.0.0.1:1' } })).toBe(
      200,
    );
  });
});

describe('URLs that a server named', () => {
  test.each([
    'http://127.0.0.1',
    'http://localhost',
    'http://[::1]',
    'http://[::ffff:7f00:1]',
    'http://0x7f.1',
    'http://169.254.169.254',
    'http://10.0.0.1',
  ])('%s is refused, and sees no connection', async (base) => {
    const catcher = await startCatcher();
    onClose(() => catcher.close());
    const port = new URL(catcher.origin).port;
    await expect(send(`${base}:${port}/`, { publicOnly: true })).rejects.toMatchObject({ code: 'UNSAFE_URL' });
    expect(catcher.connections).toBe(0);
  });

  test('a name that resolves to this machine is refused', async () => {
    const catcher = await startCatcher();
    onClose(() => catcher.close());
    const { hostname } = await import('node:os');
    const { lookup } = await import('node:dns/promises');
    const name = hostname();
    const found = await lookup(name).catch(() => undefined);
    await expect(send(`http://${name}:${new URL(catcher.origin).port}/`, { publicOnly: true })).rejects.toMatchObject({
      code: found ? 'UNSAFE_URL' : 'UNREACHABLE',
    });
    expect(catcher.connections).toBe(0);
  });
});

describe('the guarded fetch', () => {
  async function serve(handle: (response: ServerResponse) => void) {
    const server = createServer((_, response) => handle(response)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    onClose(() => {
      server.closeAllConnections();
      server.close();
    });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  }
  function fetcher() {
    const sender = nodeSender({ tls: {}, env: {} });
    onClose(() => sender.close());
    return guardedFetch(sender);
  }

  test('answers a redirect as it is', async () => {
    const url = await serve((response) => response.writeHead(302, { location: '/elsewhere' }).end());
    expect((await fetcher()(url)).status).toBe(302);
  });

  test('ends an endless answer at 256 KB', async () => {
    const url = await serve((response) => {
      const more = (): void => {
        while (response.write('x'.repeat(10_000)));
        response.once('drain', more);
      };
      more();
    });
    await expect(fetcher()(url)).rejects.toMatchObject({ code: 'TOO_LARGE' });
  });

  test('passes the caller’s abort on', async () => {
    const url = await serve(() => undefined);
    const controller = new AbortController();
    const pending = fetcher()(url, { signal: controller.signal });
    setTimeout(() => controller.abort(), 20);
    await expect(pending).rejects.toMatchObject({ name: 'AbortError' });
  });
});

test('a thousand requests reuse their connections', async () => {
  let connections = 0;
  const server = createServer((request, response) => {
    request.resume();
    response.end('{}');
  });
  server.on('connection', () => connections++);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const sender = nodeSender({ tls: {}, env: {} });
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  for (let round = 0; round < 100; round++) {
    await Promise.all(
      Array.from({ length: 10 }, async () => {
        const { body } = await sender.send({ method: 'POST', url, headers: [], body: '{}' });
        body.resume();
        await once(body, 'close');
      }),
    );
  }
  sender.close();
  server.close();
  expect(connections).toBeLessThanOrEqual(20);
});

test('a 101, which nobody asked for, is an error at once', async () => {
  const { createServer: listen } = await import('node:net');
  const server = listen((socket) =>
    socket
      .on('error', () => undefined)
      .end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'),
  ).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onClose(() => void server.close());
  await expect(send(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)).rejects.toMatchObject({
    code: 'SERVER_ERROR',
    message: expect.stringContaining('101'),
  });
});
