import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { callbackPage, PAGE_HEADERS, type CallbackOutcome } from './callback-page.js';

/** Listens for the end of one sign-in, on loopback, for as long as the flow runs (R4, R8). */
export interface CallbackServer {
  readonly port: number;
  /** From now on a callback is taken if `accepts` its parameters; until then all are refused. */
  expect(
    path: string,
    hosts: readonly string[],
    accepts: (parameters: URLSearchParams) => boolean,
  ): Promise<URLSearchParams>;
  /** Shows the browser how it ended. */
  answer(outcome: CallbackOutcome): void;
  /** Frees the port. */
  close(): Promise<void>;
}

const REFUSALS = 100;
const CONNECTIONS = 256;

/** Binds the port on 127.0.0.1 and ::1; 0 takes a free one. Rejects with the system's error: EADDRINUSE. */
export async function startCallbackServer(port: number): Promise<CallbackServer> {
  let handle: (request: IncomingMessage, response: ServerResponse) => void = (_request, response) =>
    page(response, 404, 'refused');
  const servers = await listen(port, (request, response) => handle(request, response));
  const bound = (servers[0]?.address() as AddressInfo).port;
  let waiting: ServerResponse | undefined;
  let refusals = 0;

  const refuse = (response: ServerResponse, status: number): void => {
    if (++refusals > REFUSALS) response.socket?.destroy();
    else page(response, status, 'refused');
  };

  return {
    port: bound,
    expect(path, hosts, accepts) {
      return new Promise((resolve) => {
        handle = (request, response) => {
          const target = targetOf(request);
          if (!target || target.pathname !== path) return page(response, 404, 'refused');
          if (request.method !== 'GET') return refuse(response, 405);
          if (!isOwn(request, hosts) || waiting || !accepts(target.searchParams)) return refuse(response, 400);
          waiting = response;
          resolve(target.searchParams);
        };
      });
    },
    answer(outcome) {
      if (waiting) page(waiting, 200, outcome);
    },
    async close() {
      const open = waiting && !waiting.writableFinished ? waiting : undefined;
      if (open && !open.headersSent) page(open, 200, 'failed');
      // The page goes out whole, if the browser takes it within a second.
      if (open)
        await Promise.race([
          new Promise((done) => open.once('close', done)),
          new Promise((late) => setTimeout(late, 1000).unref()),
        ]);
      await Promise.all(servers.map(closed));
    },
  };
}

function targetOf(request: IncomingMessage): URL | undefined {
  const target = request.url ?? '';
  return target.startsWith('/') && URL.canParse(target, 'http://localhost')
    ? new URL(target, 'http://localhost')
    : undefined;
}

/** R3: the Host is one that we told the server, and no other web page sends the request. */
function isOwn(request: IncomingMessage, hosts: readonly string[]): boolean {
  const { host = '', origin } = request.headers;
  if (!hosts.includes(host.toLowerCase())) return false;
  return origin === undefined || hosts.includes(origin.replace(/^https?:\/\//, '').toLowerCase());
}

function page(response: ServerResponse, status: number, outcome: CallbackOutcome): void {
  response.writeHead(status, PAGE_HEADERS);
  response.end(callbackPage(outcome));
}

async function listen(
  port: number,
  handler: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<Server[]> {
  for (let tries = 0; ; tries++) {
    const v4 = await listening(handler, '127.0.0.1', port);
    try {
      return [v4, await listening(handler, '::1', (v4.address() as AddressInfo).port)];
    } catch (error) {
      if (['EADDRNOTAVAIL', 'EAFNOSUPPORT', 'EINVAL'].includes((error as NodeJS.ErrnoException).code ?? ''))
        return [v4]; // no IPv6 here
      await closed(v4);
      if (port !== 0 || tries >= 5) throw error;
    }
  }
}

function listening(
  handler: (request: IncomingMessage, response: ServerResponse) => void,
  host: string,
  port: number,
): Promise<Server> {
  const server = createServer(
    {
      headersTimeout: 5000,
      requestTimeout: 5000,
      connectionsCheckingInterval: 1000,
      maxHeaderSize: 65_536, // the cookies of everything else on localhost come along
    },
    handler,
  );
  // The newest is heard: whoever holds the others open keeps no browser out.
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket.once('close', () => sockets.delete(socket)));
    const [oldest] = sockets;
    if (sockets.size > CONNECTIONS) oldest?.destroy();
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, exclusive: true }, () => {
      server.off('error', reject);
      server.on('error', () => undefined);
      resolve(server);
    });
  });
}

function closed(server: Server): Promise<void> {
  return new Promise((done) => {
    server.close(() => done());
    server.closeAllConnections();
  });
}
