import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createRemoteJWKSet, EmbeddedJWK, jwtVerify, calculateJwkThumbprint } from 'jose';
import { everything } from './everything.mjs';
import { startGuard } from './guard.mjs';

/**
 * What the token endpoint does with one request instead of answering it at once. `cut` lets the server act and then breaks the connection;
 * `drop` breaks it before; `hang` never answers. A number is a delay in milliseconds before the server acts.
 * @typedef {'cut' | 'drop' | 'hang' | 500 | { status: number, body: string } | { delay: number }} Fault
 *
 * @typedef {object} OidcOptions
 * @property {number} [port] Where the resource server answers; a free one by default.
 * @property {{ issuer: string, resource: string, authority: import('./authority.mjs').Authority }} [published] The https URLs by which clients know both
 *   servers, behind a proxy that leads to `guard` and to `front`.
 * @property {number} [accessTokenTtl] Seconds; 3600 by default.
 * @property {boolean} [expiresIn] False leaves `expires_in` out of token answers.
 * @property {boolean} [refreshTokens] False gives none.
 * @property {boolean} [dpop] The resource server takes DPoP-bound tokens only.
 * @property {boolean} [dpopNonce] Both servers want a nonce.
 * @property {'streamableHttp' | 'sse'} [transport] The MCP server's, behind the resource server.
 * @property {number} [tokenDelay] Milliseconds before each refresh is acted upon.
 * @property {boolean} [registration] False: no dynamic registration.
 * @property {object[]} [clients] Registered clients, as oidc-provider takes them.
 * @property {string[]} [requiredScopes] What every request needs.
 * @property {(message: { method?: string } | undefined) => string[]} [scopesFor] What a message needs besides.
 */

/**
 * Starts oidc-provider (certified, none of ours) as the authorization server, with rotation and reuse detection, and before server-everything a resource
 * server that verifies the JWT: signature, issuer, audience, expiry, revocation, scope and the DPoP binding.
 * @param {OidcOptions} [options]
 */
export async function startOidc(options = {}) {
  if (!hushed) hushProvider();
  // In Jest's realm a structured clone is of the outer one, and oidc-provider takes no object of another realm for a plain one.
  if (Object.getPrototypeOf(structuredClone({})) !== Object.prototype)
    globalThis.structuredClone = (value) => JSON.parse(JSON.stringify(value));
  // @ts-expect-error It comes without types.
  const { Provider, errors } = await import('oidc-provider');
  const {
    port: resourcePort = 0,
    published,
    accessTokenTtl = 3600,
    expiresIn = true,
    refreshTokens = true,
    dpop = false,
    dpopNonce = false,
    registration = true,
    clients = [],
    requiredScopes = ['mcp:tools'],
    scopesFor = () => [],
  } = options;
  const guard = await startGuard({
    target: (await everything(options.transport)).url,
    verify,
    port: resourcePort,
    ...(published === undefined ? {} : { tls: published }),
  });
  const resource = published?.resource ?? guard.url.href;
  const server = createServer();
  server.keepAliveTimeout = 60_000;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const port = /** @type {import('node:net').AddressInfo} */ (server.address()).port;
  const local = `http://127.0.0.1:${port}`;
  const issuer = published?.issuer ?? local;
  const front = published === undefined ? undefined : await startGuard({ target: new URL(local), tls: published });

  /** @type {{ grant: string | null, refreshToken: string | null, body: URLSearchParams, authorization: string | undefined }[]} */
  const tokenRequests = [];
  /** @type {Fault[]} */
  const faults = [];
  /** @type {Set<string>} */
  const revoked = new Set();
  /** @type {Set<string>} */
  const issued = new Set();
  let reuses = 0;
  let tokenDelay = options.tokenDelay ?? 0;

  const provider = new Provider(issuer, {
    clients,
    cookies: { keys: [randomBytes(16).toString('hex')] },
    scopes: ['openid', 'offline_access', 'mcp:tools', 'mcp:admin'],
    pkce: { required: () => true },
    rotateRefreshToken: true,
    issueRefreshToken: async () => refreshTokens,
    findAccount: (/** @type {unknown} */ _context, /** @type {string} */ id) => ({
      accountId: id,
      claims: async () => ({ sub: id, email: `${id}@example.com` }),
    }),
    loadExistingGrant: undefined,
    claims: { openid: ['sub'], email: ['email'] },
    ttl: {
      AccessToken: accessTokenTtl,
      ClientCredentials: accessTokenTtl,
      RefreshToken: 86_400,
      DeviceCode: 600,
      Grant: 86_400,
      Session: 86_400,
      Interaction: 600,
      IdToken: 600,
      AuthorizationCode: 60,
    },
    features: {
      registration: { enabled: registration },
      revocation: { enabled: true },
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => dpopNonce },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        useGrantedResource: () => true,
        getResourceServerInfo: (/** @type {unknown} */ _context, /** @type {string} */ indicator) => {
          if (indicator !== resource) throw new errors.InvalidTarget();
          return {
            scope: 'mcp:tools mcp:admin',
            audience: resource,
            accessTokenFormat: 'jwt',
            accessTokenTTL: accessTokenTtl,
            jwt: { sign: { alg: 'RS256' } },
          };
        },
      },
    },
  });
  provider.on('access_token.issued', (/** @type {{ jti: string }} */ token) => issued.add(token.jti));
  provider.on('client_credentials.issued', (/** @type {{ jti: string }} */ token) => issued.add(token.jti));
  provider.on('grant.error', (/** @type {unknown} */ _context, /** @type {{ error_detail?: string }} */ error) => {
    if (/already used|consumed/.test(String(error.error_detail))) reuses++;
  });

  const callback = provider.callback();
  provider.proxy = published !== undefined;
  const { host: forwardedHost } = new URL(issuer);
  server.on('request', (request, response) => {
    if (published) Object.assign(request.headers, { 'x-forwarded-host': forwardedHost, 'x-forwarded-proto': 'https' });
    if (request.method !== 'POST' || !request.url?.startsWith('/token')) return callback(request, response);
    return token(request, response);
  });

  /** @param {import('node:http').IncomingMessage & { body?: unknown }} request @param {import('node:http').ServerResponse} response */
  async function token(request, response) {
    let text = '';
    for await (const chunk of request) text += chunk;
    const body = new URLSearchParams(text);
    const grant = body.get('grant_type');
    tokenRequests.push({
      grant,
      refreshToken: body.get('refresh_token'),
      body,
      authorization: request.headers.authorization,
    });
    events.emit('token', grant);
    const fault = faults.shift();
    if (fault === 'drop') return void request.socket.destroy();
    if (fault === 'hang') return;
    if (fault === 500)
      return void response
        .writeHead(500, { 'content-type': 'application/json' })
        .end(JSON.stringify({ error: 'server_error', error_description: text }));
    if (typeof fault === 'object' && 'status' in fault)
      return void response.writeHead(fault.status, { 'content-type': 'application/json' }).end(fault.body);
    const delay = typeof fault === 'object' ? fault.delay : grant === 'refresh_token' ? tokenDelay : 0;
    if (delay > 0) await new Promise((done) => setTimeout(done, delay));
    request.body = text; // oidc-provider takes a body that was read already
    const end = response.end.bind(response);
    response.end = /** @type {any} */ (
      (/** @type {any} */ chunk, /** @type {any[]} */ ...rest) => {
        if (fault === 'cut') return request.socket.destroy();
        if (expiresIn || !chunk) return end(chunk, ...rest);
        const answer = JSON.parse(String(chunk));
        delete answer.expires_in;
        const bytes = JSON.stringify(answer);
        response.setHeader('content-length', Buffer.byteLength(bytes));
        return end(bytes);
      }
    );
    callback(request, response);
  }

  const keys = createRemoteJWKSet(new URL(`${local}/jwks`));
  let nonce = 'resource-nonce-1';

  /** @param {import('./guard.mjs').RequestHead} head @param {Buffer} body */
  async function verify(head, body) {
    if (head.path.startsWith('/.well-known/oauth-protected-resource'))
      return answer(
        200,
        {},
        {
          resource,
          authorization_servers: [issuer],
          scopes_supported: requiredScopes,
          ...(dpop ? { dpop_bound_access_tokens_required: true } : {}),
        },
      );
    const [scheme, value] = head.headers.authorization?.split(' ') ?? [];
    const expected = dpop ? 'DPoP' : 'Bearer';
    const metadata = `resource_metadata="${new URL(resource).origin}/.well-known/oauth-protected-resource/mcp"`;
    const refuse = (
      /** @type {number} */ status,
      /** @type {string} */ error,
      /** @type {Record<string, string>} */ headers = {},
    ) =>
      answer(
        status,
        {
          'www-authenticate': `${expected} ${error ? `error="${error}", ` : ''}scope="${requiredScopes.join(' ')}", ${metadata}`,
          ...headers,
        },
        { error },
      );
    if (!value || scheme !== expected) return refuse(401, '');
    try {
      const { payload } = await jwtVerify(value, keys, { issuer, audience: resource });
      if (revoked.has(String(payload.jti))) return refuse(401, 'invalid_token');
      if (dpop) {
        const jkt = /** @type {{ jkt?: string } | undefined} */ (payload.cnf)?.jkt;
        const proof = await jwtVerify(String(head.headers.dpop), EmbeddedJWK, { typ: 'dpop+jwt', maxTokenAge: 300 });
        const { htm, htu } = proof.payload;
        if (htm !== head.method || htu !== resource) return refuse(401, 'invalid_dpop_proof');
        if (jkt !== (await calculateJwkThumbprint(/** @type {import('jose').JWK} */ (proof.protectedHeader.jwk))))
          return refuse(401, 'invalid_token');
        if (dpopNonce && proof.payload.nonce !== nonce) return refuse(401, 'use_dpop_nonce', { 'dpop-nonce': nonce });
      }
      const granted = String(payload.scope ?? '').split(' ');
      const needed = [...requiredScopes, ...scopesFor(parsed(body))];
      const missing = needed.filter((scope) => !granted.includes(scope));
      if (missing.length > 0)
        return answer(
          403,
          { 'www-authenticate': `${expected} error="insufficient_scope", scope="${missing.join(' ')}", ${metadata}` },
          { error: 'insufficient_scope' },
        );
      return undefined;
    } catch {
      return refuse(401, 'invalid_token');
    }
  }

  const { EventEmitter } = await import('node:events');
  const events = new EventEmitter();

  return {
    issuer,
    /** Where the authorization server answers on this machine, whatever its published URL. */
    local,
    resource,
    guard,
    /** The published authorization server; undefined without `published`. */
    front,
    tokenRequests,
    faults,
    events,
    /** Requests that spent a refresh token. */
    get refreshes() {
      return tokenRequests.filter(({ grant }) => grant === 'refresh_token').length;
    },
    /** How often a refresh token was shown a second time. */
    get reuses() {
      return reuses;
    },
    set tokenDelay(/** @type {number} */ ms) {
      tokenDelay = ms;
    },
    /** Every access token issued so far is refused from now on. */
    revokeAccessTokens() {
      for (const jti of issued) revoked.add(jti);
    },
    /** The server forgets a refresh token. @param {string} value */
    async forget(value) {
      const found = await provider.RefreshToken.find(value);
      await found?.destroy();
    },
    /** True if the server would still take this refresh token. @param {string} value */
    async isLive(value) {
      const found = await provider.RefreshToken.find(value);
      return found !== undefined && !found.consumed;
    },
    set nonce(/** @type {string} */ value) {
      nonce = value;
    },
    async close() {
      await guard.close();
      await front?.close();
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** @typedef {Awaited<ReturnType<typeof startOidc>>} Oidc */

/**
 * The scripted browser: signs in and consents at oidc-provider's own pages, and follows every redirect up to the callback, which it visits.
 * Answers the callback's status and page.
 * @param {URL} url The authorization URL, or a device flow's verification_uri_complete.
 * @param {{ account?: string, deny?: boolean, visit?: boolean, local?: string }} [options] Without `visit` the callback's URL is only answered. `local` is
 *   where a published authorization server is reached.
 */
export async function signInAt(url, { account = 'alice', deny = false, visit = true, local } = {}) {
  /** @type {Map<string, string>} */
  const cookies = new Map();
  let at = new URL(url);
  /** @type {RequestInit} */
  let init = {};
  for (let steps = 0; steps < 30; steps++) {
    const own = at.origin === url.origin;
    if (!own && !visit) return { url: at, status: 0, text: '' };
    const headers =
      own && cookies.size > 0 ? { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') } : {};
    const response = await fetch(own && local ? new URL(at.pathname + at.search, local) : at, {
      ...init,
      headers: { ...init.headers, ...headers },
      redirect: 'manual',
    });
    for (const cookie of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
      if (value) cookies.set(name, value);
      else cookies.delete(name);
    }
    const location = response.headers.get('location');
    if (location) {
      at = new URL(location, at);
      init = {};
      continue;
    }
    const text = await response.text();
    const form = own ? formOf(text, at, account, deny) : undefined;
    if (!form) return { url: at, status: response.status, text };
    ({ at, init } = form);
  }
  throw new Error('The sign-in did not come to an end.');
}

/** @param {string} page @param {URL} base @param {string} account @param {boolean} deny */
function formOf(page, base, account, deny) {
  const abort = /href="([^"]*\/abort)"/.exec(page)?.[1];
  if (deny && abort) return { at: new URL(abort, base), init: {} };
  const action = /<form[^>]*action="([^"]+)"/.exec(page)?.[1];
  if (!action) return undefined;
  const body = new URLSearchParams();
  for (const [input] of page.matchAll(/<input[^>]*>/g)) {
    const name = /name="([^"]+)"/.exec(input)?.[1];
    const value = /value="([^"]*)"/.exec(input)?.[1] ?? '';
    if (name) body.set(name, name === 'login' ? account : name === 'password' ? 'any' : value);
  }
  if (deny && page.includes('name="abort"')) body.set('abort', 'yes');
  else if (page.includes('name="confirm"')) body.set('confirm', 'yes');
  return {
    at: new URL(action, base),
    init: { method: 'POST', body: body.toString(), headers: { 'content-type': 'application/x-www-form-urlencoded' } },
  };
}

/** @param {number} status @param {Record<string, string>} headers @param {unknown} body */
const answer = (status, headers, body) => ({
  status,
  headers: { 'content-type': 'application/json', ...headers },
  body: JSON.stringify(body),
});

/** @param {Buffer} body */
function parsed(body) {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}

/** oidc-provider tells of the Node version, quick-start keys and defaults: no news in a test. */
function hushProvider() {
  for (const level of /** @type {const} */ (['info', 'warn'])) {
    const write = console[level];
    console[level] = (...line) => {
      if (!String(line[0]).includes('oidc-provider')) write(...line);
    };
  }
  hushed = true;
}
let hushed = false;
