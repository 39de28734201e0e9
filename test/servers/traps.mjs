import { once } from 'node:events';
import { createServer } from 'node:net';
import { createServer as createSecureServer } from 'node:tls';
import { startGuard } from './guard.mjs';

/**
 * Starts an origin that must see nothing: keeps every byte that reaches it, and answers an empty JSON object to whoever asks.
 * @param {{ tls?: { authority: import('./authority.mjs').Authority, certificate?: import('./authority.mjs').Certificate } }} [options] Without `tls`, plain http.
 */
export async function startCatcher({ tls } = {}) {
  /** @type {Buffer[]} */
  const chunks = [];
  /** @type {Set<import('node:net').Socket>} */
  const sockets = new Set();
  let connections = 0;
  const server = tls === undefined ? createServer() : createSecureServer(await tls.authority.serverOptions(tls));
  server.on('connection', (/** @type {import('node:net').Socket} */ socket) => {
    connections++;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on(
    tls === undefined ? 'connection' : 'secureConnection',
    (/** @type {import('node:net').Socket} */ socket) => {
      socket.on('error', () => {});
      socket.on('data', (chunk) => {
        chunks.push(chunk);
        if (chunk.includes('\r\n\r\n'))
          socket.write('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}');
      });
    },
  );
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  return {
    port,
    origin: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    /** All that it received, decrypted. */
    get bytes() {
      return Buffer.concat(chunks);
    },
    /** How many connections were opened to it, with or without a byte. */
    get connections() {
      return connections;
    },
    async close() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
}

/**
 * Starts a guard that answers with a redirect; `location` may decide by the request (`undefined`: on to `target`).
 * @param {{ status?: number, location: string | URL | ((head: import('./guard.mjs').RequestHead) => string | URL | undefined) } & import('./guard.mjs').GuardOptions} options
 */
export function startRedirector({ status = 307, location, verify, ...options }) {
  return startGuard({
    ...options,
    async verify(head, body) {
      const to = typeof location === 'function' ? location(head) : location;
      return to === undefined ? verify?.(head, body) : { status, headers: { location: String(to) } };
    },
  });
}
