import { EventEmitter, once } from 'node:events';
import { Agent, createServer, request as send } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { pipeline } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { forwardableHeaders } from './hop-by-hop.mjs';

/**
 * @typedef {object} RequestHead What a verifier sees of a request, beside its body.
 * @property {string} method
 * @property {string} path The raw path and query, as received.
 * @property {import('node:http').IncomingHttpHeaders} headers
 * @property {readonly string[]} rawHeaders Names and values in turn, as received.
 * @property {Date} time When it came, by the guard's clock.
 * @property {string | undefined} servername The TLS server name that the client asked for.
 * @property {import('node:tls').PeerCertificate | undefined} certificate The client's certificate, if it gave one that the authority issued.
 *
 * @typedef {{ status: number, headers?: import('node:http').OutgoingHttpHeaders, body?: string | Uint8Array }} Answer
 * @typedef {(head: RequestHead, body: Buffer) => Answer | undefined | Promise<Answer | undefined>} Verify Answers `undefined` to let the request through.
 *
 * @typedef {RequestHead & { body: Buffer, message: any, status: number | undefined, refused: boolean }} RecordedRequest
 *   `message` is the body as JSON, or undefined; `status` is what was answered, undefined until then.
 *
 * @typedef {object} GuardOptions
 * @property {URL} [target] The server behind the guard. Without one, `verify` answers everything (404 where it doesn't).
 * @property {Verify | undefined} [verify] Without one the guard is open.
 * @property {number} [port] A free one by default.
 * @property {string} [host] 127.0.0.1 by default.
 * @property {(path: string) => string} [rewrite] Turns the path that was asked into the one that the target knows; unchanged by default.
 * @property {() => number} [clock] Milliseconds; with it, the `Date` of every answer is the guard's own.
 * @property {{ authority: import('./authority.mjs').Authority, certificate?: import('./authority.mjs').Certificate, clientCertificates?: 'asked' | 'required' }} [tls]
 *   Serves https: with a certificate for whatever host is asked, or with the one given.
 */

/**
 * Starts a reverse proxy in front of an MCP server that lets through what `verify` accepts and remembers all that it saw. A request's body is read
 * whole, since a verifier needs its bytes; the answer streams.
 * @param {GuardOptions} [options]
 */
export async function startGuard({
  target,
  verify,
  port = 0,
  host = '127.0.0.1',
  rewrite = (path) => path,
  clock,
  tls,
} = {}) {
  const events = new EventEmitter();
  const agent = new Agent({ keepAlive: true });
  /** @type {RecordedRequest[]} */
  const requests = [];
  /** @type {Map<import('node:http').ServerResponse, RecordedRequest>} */
  const streams = new Map();

  const server = tls === undefined ? createServer() : createSecureServer(await tls.authority.serverOptions(tls));
  server.keepAliveTimeout = 60_000; // Longer than any test holds an idle connection: no reset under a request that is on its way.
  server.on('request', (incoming, outgoing) => {
    outgoing.on('error', () => {}); // The client went away; there is nobody to tell.
    handle(incoming, outgoing).catch((error) => {
      if (outgoing.headersSent) outgoing.destroy();
      else answer(outgoing, { status: 502, body: String(error) });
    });
  });
  server.listen(port, host);
  await once(server, 'listening');
  const address = /** @type {import('node:net').AddressInfo} */ (server.address());
  const origin = `${tls === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${address.port}`;

  /** @param {import('node:http').IncomingMessage} incoming @param {import('node:http').ServerResponse} outgoing */
  async function handle(incoming, outgoing) {
    const socket = /** @type {import('node:tls').TLSSocket} */ (incoming.socket);
    const body = await buffer(incoming);
    /** @type {RecordedRequest} */
    const record = {
      method: incoming.method ?? 'GET',
      path: incoming.url ?? '/',
      headers: incoming.headers,
      rawHeaders: incoming.rawHeaders,
      time: new Date(clock?.() ?? Date.now()),
      servername: socket.servername || undefined,
      certificate: tls !== undefined && socket.authorized ? socket.getPeerCertificate() : undefined,
      body,
      message: parsed(body),
      status: undefined,
      refused: false,
    };
    requests.push(record);
    const refusal = await verify?.(record, body);
    if (refusal !== undefined || target === undefined) {
      record.refused = refusal !== undefined && refusal.status >= 400;
      record.status = refusal?.status ?? 404;
      answer(outgoing, refusal ?? { status: 404 });
    } else {
      await forward(record, outgoing, target);
    }
    events.emit('request', record);
  }

  /** @param {RecordedRequest} record @param {import('node:http').ServerResponse} outgoing @param {URL} to */
  async function forward(record, outgoing, to) {
    const upstream = send({
      agent,
      host: to.hostname,
      port: to.port,
      method: record.method,
      path: rewrite(record.path),
      headers: { ...forwardableHeaders(record.headers), host: to.host, 'content-length': record.body.length },
    });
    outgoing.on('close', () => upstream.destroy());
    upstream.end(record.body);
    const [response] = /** @type {[import('node:http').IncomingMessage]} */ (await once(upstream, 'response'));
    upstream.on('error', () => outgoing.destroy());
    record.status = response.statusCode;
    outgoing.writeHead(response.statusCode ?? 502, { ...forwardableHeaders(response.headers), ...date() });
    outgoing.flushHeaders(); // A stream's head goes at once, not with its first event.
    if (response.headers['content-type']?.startsWith('text/event-stream')) {
      streams.set(outgoing, record);
      outgoing.on('close', () => {
        streams.delete(outgoing);
        events.emit('end', record);
      });
      events.emit('stream', record);
    }
    pipeline(response, outgoing, () => {});
  }

  /** @param {import('node:http').ServerResponse} outgoing @param {Answer} refusal */
  function answer(outgoing, { status, headers = {}, body = '' }) {
    outgoing.writeHead(status, { 'content-length': Buffer.byteLength(body), ...date(), ...headers });
    outgoing.end(body);
  }

  /** @returns {{ date?: string }} */
  function date() {
    return clock === undefined ? {} : { date: new Date(clock()).toUTCString() };
  }

  /** @param {string} event @param {(record: RecordedRequest) => boolean} accepts @returns {Promise<RecordedRequest>} */
  function next(event, accepts) {
    return new Promise((resolve) => {
      /** @param {RecordedRequest} record */
      const listener = (record) => {
        if (!accepts(record)) return;
        events.off(event, listener);
        resolve(record);
      };
      events.on(event, listener);
    });
  }

  return {
    origin,
    port: address.port,
    /** The guarded server's URL, with the target's path. */
    url: new URL(target?.pathname ?? '/mcp', origin),
    /** Every request so far, in the order they came. Empty it by `requests.length = 0`. */
    requests,
    /** The requests that called a JSON-RPC method. @param {string} method */
    called: (method) => requests.filter(({ message }) => message?.method === method),
    /** Resolves with the next answered request that `accepts` takes. @param {(record: RecordedRequest) => boolean} [accepts] */
    nextRequest: (accepts = () => true) => next('request', accepts),
    /** Resolves with the request whose event stream opens next. @param {(record: RecordedRequest) => boolean} [accepts] */
    nextStream: (accepts = () => true) => next('stream', accepts),
    /** Resolves with the request whose event stream ends next. @param {(record: RecordedRequest) => boolean} [accepts] */
    nextEnd: (accepts = () => true) => next('end', accepts),
    /** How many event streams are open. */
    get openStreams() {
      return streams.size;
    },
    /** Cuts the open event streams (or those that `accepts` takes) as a dying proxy would, and answers how many. @param {(record: RecordedRequest) => boolean} [accepts] */
    disconnect(accepts = () => true) {
      const doomed = [...streams].filter(([, record]) => accepts(record));
      for (const [outgoing] of doomed) outgoing.destroy();
      return doomed.length;
    },
    async close() {
      if (!server.listening) return;
      server.close();
      server.closeAllConnections();
      agent.destroy();
      await once(server, 'close');
    },
  };
}

/** @typedef {Awaited<ReturnType<typeof startGuard>>} Guard */

/** @param {Buffer} body */
function parsed(body) {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}
