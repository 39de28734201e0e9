import { once } from 'node:events';
import { createServer, request as send } from 'node:http';
import { connect } from 'node:net';
import { pipeline } from 'node:stream';
import { forwardableHeaders } from './hop-by-hop.mjs';

/**
 * Starts a proxy that leads every host to one local server, whatever its name: CONNECT (RFC 9110 9.3.6) for https, the absolute form for http.
 * @param {object} options
 * @param {{ port: number } | ((host: string, port: number) => { port: number } | undefined)} options.to The guard, or which guard for which host (`undefined`: 502).
 * @param {string} [options.password] `user:password`, which clients must show; else 407.
 */
export async function startConnectProxy({ to, password }) {
  /** @type {string[]} */
  const hosts = [];
  /** @type {(string | undefined)[]} */
  const authorizations = [];
  /** @type {Set<import('node:stream').Duplex>} */
  const sockets = new Set();

  /** @param {import('node:http').IncomingMessage} request @param {string} authority */
  function admit(request, authority) {
    authorizations.push(request.headers['proxy-authorization']);
    const expected = password === undefined ? undefined : `Basic ${Buffer.from(password).toString('base64')}`;
    if (expected !== undefined && request.headers['proxy-authorization'] !== expected) return 407;
    const { hostname, port } = new URL(`tcp://${authority}`);
    hosts.push(authority);
    return (typeof to === 'function' ? to(hostname.replace(/^\[|\]$/g, ''), Number(port)) : to) ?? 502;
  }

  const server = createServer((incoming, outgoing) => {
    const url = URL.canParse(incoming.url ?? '') ? new URL(incoming.url ?? '') : undefined;
    const route = url === undefined ? 400 : admit(incoming, `${url.hostname}:${url.port || 80}`);
    outgoing.on('error', () => {});
    if (url === undefined || typeof route === 'number') {
      outgoing
        .writeHead(
          typeof route === 'number' ? route : 400,
          route === 407 ? { 'proxy-authenticate': 'Basic realm="proxy"' } : {},
        )
        .end();
      return;
    }
    const upstream = send({
      host: '127.0.0.1',
      port: route.port,
      method: incoming.method,
      path: url.pathname + url.search,
      headers: { ...forwardableHeaders(incoming.headers), host: url.host },
    });
    upstream.on('response', (response) => {
      outgoing.writeHead(response.statusCode ?? 502, forwardableHeaders(response.headers)).flushHeaders();
      pipeline(response, outgoing, () => {});
    });
    upstream.on('error', () => outgoing.destroy());
    pipeline(incoming, upstream, () => {});
  });
  server.on('connect', (request, client, first) => {
    client.on('error', () => {});
    const route = admit(request, request.url ?? '');
    if (typeof route === 'number') {
      const challenge = route === 407 ? 'Proxy-Authenticate: Basic realm="proxy"\r\n' : '';
      client.end(
        `HTTP/1.1 ${route} ${route === 407 ? 'Proxy Authentication Required' : 'Bad Gateway'}\r\n${challenge}Content-Length: 0\r\n\r\n`,
      );
      return;
    }
    const upstream = connect(route.port, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      upstream.write(first);
      pipeline(client, upstream, client, () => {});
    });
    upstream.on('error', () => client.destroy());
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  return {
    port,
    /** For HTTPS_PROXY; with the password in it where there is one. */
    url: new URL(`http://${password === undefined ? '' : `${password}@`}127.0.0.1:${port}`),
    /** `host:port` of every request that was let through, in order. */
    hosts,
    /** The Proxy-Authorization of every request, refused ones included. */
    authorizations,
    async close() {
      server.close();
      server.closeAllConnections();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
}
