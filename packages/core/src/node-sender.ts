import type { LookupFunction } from 'node:net';
import { lookup as dnsLookup } from 'node:dns';
import { readFileSync } from 'node:fs';
import http, { type ClientRequest, type IncomingMessage } from 'node:http';
import https from 'node:https';
import tls from 'node:tls';
import { addressProblem } from './addresses.js';
import { decodeBody } from './body-limits.js';
import { CountersignError } from './errors.js';
import { HeaderFields } from './header-fields.js';
import { proxyFor } from './proxy.js';
import type { Sender, SenderOptions, SenderRequest, SenderResponse } from './sender.js';

/** A server that doesn't announce its keep-alive time is taken to close an idle connection after five seconds, as node and many proxies do. */
const IDLE_SOCKET_MS = 4_000;

/** The sender on node:http and node:https: keep-alive, proxies from the environment, extra CAs and client certificates. */
export function nodeSender(options: SenderOptions): Sender {
  const agents = new Map<string, http.Agent>();
  const byOrigin = new Map<string, http.Agent>();
  const context = tlsContext(options.tls);

  async function agentFor(url: URL): Promise<http.Agent> {
    const proxy = proxyFor(url, options.env);
    const key = `${url.protocol} ${proxy?.href ?? 'direct'}`;
    const agent = agents.get(key) ?? (await createAgent(url.protocol === 'https:', proxy, context));
    agents.set(key, agent);
    byOrigin.set(url.origin, agent);
    return agent;
  }

  return {
    async send(request, signal) {
      signal?.throwIfAborted();
      const { url } = request;
      if (options.publicOnly) {
        const problem = addressProblem(url.hostname);
        if (problem && problem !== options.except)
          throw new CountersignError(
            'UNSAFE_URL',
            `${url.origin} is ${problem}, where a URL named by a server must not lead.`,
          );
      }
      const message = await transmit(
        request,
        byOrigin.get(url.origin) ?? (await agentFor(url)),
        context,
        options.publicOnly ? publicLookup(options.except) : undefined,
        signal,
      );
      return toResponse(message);
    },
    close() {
      for (const agent of agents.values()) agent.destroy();
      agents.clear();
      byOrigin.clear();
    },
  };
}

async function createAgent(
  secure: boolean,
  proxy: URL | undefined,
  context: tls.ConnectionOptions,
): Promise<http.Agent> {
  const settings = { keepAlive: true, timeout: IDLE_SOCKET_MS, scheduling: 'lifo' as const };
  if (!proxy) return secure ? new https.Agent({ ...settings, ...context }) : new http.Agent(settings);
  if (secure) return new (await import('https-proxy-agent')).HttpsProxyAgent(proxy, { ...settings, ...context });
  return new (await import('http-proxy-agent')).HttpProxyAgent(proxy, { ...settings, ...context });
}

function transmit(
  request: SenderRequest,
  agent: http.Agent,
  context: tls.ConnectionOptions,
  lookup: LookupFunction | undefined,
  signal: AbortSignal | undefined,
): Promise<IncomingMessage> {
  const { url, body } = request;
  const headers: Record<string, string | number> = Object.fromEntries(request.headers);
  if (body !== undefined)
    headers['content-length'] = typeof body === 'string' ? Buffer.byteLength(body) : body.byteLength;
  else if (request.method !== 'GET' && request.method !== 'HEAD') headers['content-length'] = 0;
  const secure = url.protocol === 'https:';

  return new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing: ClientRequest = (secure ? https : http).request({
      method: request.method,
      protocol: url.protocol,
      hostname: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port || (secure ? 443 : 80),
      path: url.pathname + url.search,
      headers,
      agent,
      ...(lookup ? { lookup } : {}),
      ...(secure ? context : {}),
    });
    let message: IncomingMessage | undefined;
    const abort = (): void => {
      const reason =
        typeof signal?.reason === 'object'
          ? (signal.reason as Error)
          : new CountersignError('ABORTED', 'The request was aborted.', { cause: signal?.reason });
      message?.destroy(reason);
      outgoing.destroy(reason);
    };
    signal?.addEventListener('abort', abort, { once: true });
    outgoing.once('close', () => {
      signal?.removeEventListener('abort', abort);
      if (!message) reject(unreachable(url, new Error('the connection was closed'), outgoing.reusedSocket)); // unless the reason is known
    });
    outgoing.once('proxyConnect', (connect: { statusCode: number }) => {
      if (connect.statusCode === 200) return;
      outgoing.destroy(
        new CountersignError('UNREACHABLE', `The proxy answered ${connect.statusCode} to a connection to ${url.host}.`),
      );
    });
    outgoing.on('error', (error) =>
      reject(
        signal?.aborted || error instanceof CountersignError ? error : unreachable(url, error, outgoing.reusedSocket),
      ),
    );
    // 101, which nobody asked for: node has let the connection go without a word.
    outgoing.once('upgrade', (_message, socket) => {
      socket.destroy();
      reject(
        new CountersignError('SERVER_ERROR', `${url.host} answered 101, which was not asked for.`, { status: 101 }),
      );
    });
    outgoing.once('response', (incoming: IncomingMessage) => {
      message = incoming;
      resolve(incoming);
    });
    outgoing.end(body);
  });
}

function toResponse(message: IncomingMessage): SenderResponse {
  const headers = HeaderFields.received(message.rawHeaders);
  const body = decodeBody(message, headers.get('content-encoding'));
  if (body !== message) {
    headers.delete('content-encoding');
    headers.delete('content-length');
  }
  return { status: message.statusCode ?? 0, statusText: message.statusMessage ?? '', headers, body };
}

function unreachable(url: URL, cause: Error & { code?: string }, reused: boolean): CountersignError {
  if (reused) Object.assign(cause, { reusedSocket: true });
  const why = cause.code ?? cause.message;
  const certificate = /CERT|SELF_SIGNED|ISSUER|ALTNAME|UNABLE_TO_VERIFY/.test(why);
  return new CountersignError('UNREACHABLE', `${url.host} could not be reached (${why}).`, {
    cause,
    ...(certificate
      ? {
          remedy:
            'If the certificate is your organisation\'s, give its CA file as "ca" or in NODE_EXTRA_CA_CERTS. Validation can\'t be turned off.',
        }
      : {}),
  });
}

/** Trusts the system's roots, NODE_EXTRA_CA_CERTS and the server's `ca`: the `ca` option of node replaces the roots, so they are named again. */
function tlsContext({ ca, cert, key }: SenderOptions['tls']): tls.ConnectionOptions {
  if (!ca && !cert) return {};
  // Made once: named in each request, the roots would be parsed for every connection.
  const trust = ca ? { ca: [...defaultRoots(), ca] } : {};
  try {
    return { secureContext: tls.createSecureContext({ ...trust, ...(cert ? { cert } : {}), ...(key ? { key } : {}) }) };
  } catch (error) {
    const why = (error as { code?: string }).code ?? 'not PEM';
    throw new CountersignError(
      'CONFIG_INVALID',
      `The files of "ca", "clientCert" and "clientKey" can't be used (${why}).`,
    );
  }
}

function defaultRoots(): readonly string[] {
  if ('getCACertificates' in tls) return (tls.getCACertificates as (type: string) => string[])('default');
  const extra = process.env['NODE_EXTRA_CA_CERTS'];
  return extra ? [...tls.rootCertificates, readFileSync(extra, 'utf8')] : tls.rootCertificates;
}

/** Resolves a name once, refuses it if any of its addresses is neither public nor of the kind excepted, and connects to just what was checked. */
const publicLookup =
  (except: string | undefined): LookupFunction =>
  (hostname, options, callback) => {
    dnsLookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, '');
      const problem = addresses
        .map(({ address }) => addressProblem(address))
        .find((found) => found !== undefined && found !== except);
      if (problem)
        return callback(
          new CountersignError(
            'UNSAFE_URL',
            `${hostname} resolves to ${problem}, where a URL named by a server must not lead.`,
          ),
          '',
        );
      if (options.all) return (callback as unknown as (error: null, addresses: unknown) => void)(null, addresses);
      const [first] = addresses;
      callback(null, first?.address ?? '', first?.family);
    });
  };
