import { generateKeyPair as generate, randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { jwtVerify } from 'jose';
import { json } from './verifiers.mjs';

/** @typedef {import('./guard.mjs').Answer} Answer @typedef {import('./guard.mjs').Verify} Verify @typedef {import('./guard.mjs').RequestHead} RequestHead */
/** @typedef {Awaited<ReturnType<typeof createGitHub>>} GitHub */
/** @typedef {{ id: number, account: string, app: string, permissions: Record<string, string>, repositories: string[], suspended?: boolean }} Installation */
/** @typedef {{ token: string, login: string, kind: 'installation' | 'user', expiresAt: number, permissions: Record<string, string>, repositories: string[] }} Issued */

const DOCS = 'https://docs.github.com/rest';
const rsa = promisify(generate);

/**
 * GitHub's REST API and sign-in, as far as credentials go: `api` is what a guard without a target verifies with (for api.github.com, an
 * Enterprise Server's /api/v3, and the sign-in of github.com), `mcp` guards its MCP server. An App's JWT is verified as GitHub does (RS256, `iss`, `iat`
 * not ahead, `exp` within ten minutes); installation tokens narrow, and end.
 * @param {{ clock?: () => number, lifetime?: number, host?: string }} [options] `lifetime` of tokens in seconds.
 */
export async function createGitHub({ clock = Date.now, lifetime = 3600, host = 'github.com' } = {}) {
  /** @type {Map<string, { id: number, clientId: string, slug: string, key: import('node:crypto').KeyObject }>} */
  const apps = new Map();
  /** @type {Installation[]} */
  const installations = [];
  /** @type {Map<string, Issued>} */
  const tokens = new Map();
  /** @type {Issued[]} */
  const issued = [];
  /** @type {Map<string, { clientId: string, userCode: string, scope: string, state: 'pending' | 'approved' | 'denied', login: string, last: number }>} */
  const codes = new Map();
  /** @type {Map<string, { clientId: string, login: string }>} */
  const refreshTokens = new Map();
  const settings = {
    lifetime,
    /** Seconds between two polls of the device flow. */
    interval: 5,
    /** Users' tokens end, and come with a refresh token, as an App's do. */
    expiring: false,
    /** Answers in the place of all. @type {((head: RequestHead, body: Buffer) => Answer | undefined | Promise<Answer | undefined>) | undefined} */
    fault: undefined,
    /** How many times a new installation token is not known yet. */
    unknownAtFirst: 0,
  };
  const now = () => Math.floor(clock() / 1000);

  /** @param {Omit<Issued, 'token'>} grant @param {string} prefix */
  function issue(grant, prefix) {
    const one = { ...grant, token: `${prefix}_${randomUUID().replaceAll('-', '')}` };
    tokens.set(one.token, one);
    issued.push(one);
    return one;
  }

  /** @param {RequestHead} head */
  async function appOf({ headers }) {
    const jwt = /^bearer (\S+)$/i.exec(headers.authorization ?? '')?.[1] ?? '';
    const claims = jwt.split('.')[1] ?? '';
    const iss = String(/** @type {{ iss?: unknown }} */ (parsed(claims)).iss);
    const app = [...apps.values()].find(({ id, clientId }) => iss === String(id) || iss === clientId);
    if (!app)
      return { refusal: refuse(401, claims ? 'Integration not found' : 'A JSON web token could not be decoded') };
    try {
      const { payload } = await jwtVerify(jwt, app.key, {
        algorithms: ['RS256'],
        requiredClaims: ['iss', 'iat', 'exp'],
        currentDate: new Date(0), // the times are checked below, with GitHub's own words
      });
      const { iat, exp } = payload;
      if (!Number.isInteger(iat) || Number(iat) > now() + 5)
        return {
          refusal: refuse(
            401,
            "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
          ),
        };
      if (!Number.isInteger(exp) || Number(exp) <= now())
        return {
          refusal: refuse(
            401,
            "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
          ),
        };
      if (Number(exp) > now() + 600)
        return { refusal: refuse(401, "'Expiration time' claim ('exp') is too far in the future") };
    } catch {
      return { refusal: refuse(401, 'A JSON web token could not be decoded') };
    }
    return { app };
  }

  /** @param {RequestHead} head @param {Buffer} body @param {string} path @returns {Promise<Answer>} */
  async function asApp(head, body, path) {
    const { app, refusal } = await appOf(head);
    if (!app) return refusal ?? refuse(401, 'Bad credentials');
    const own = installations.filter((one) => one.app === app.slug);
    const view = (/** @type {Installation} */ { id, account, permissions }) => ({
      id,
      account: { login: account },
      app_id: app.id,
      permissions,
    });
    if (path === '/app') return json(200, { id: app.id, slug: app.slug, name: app.slug });
    if (path === '/app/installations') return json(200, own.map(view));
    const where = /^\/(?:repos\/([^/]+)\/([^/]+)|(orgs|users)\/([^/]+))\/installation$/.exec(path);
    if (where) {
      const found = own.find(
        ({ account, repositories }) =>
          account === (where[1] ?? where[4]) && (where[2] === undefined || repositories.includes(where[2])),
      );
      return found ? json(200, view(found)) : refuse(404, 'Not Found');
    }
    const [, id, wantsToken] = /^\/app\/installations\/(\d+)(\/access_tokens)?$/.exec(path) ?? [];
    const installation = own.find((one) => String(one.id) === id);
    if (!installation) return refuse(404, 'Not Found');
    if (!wantsToken) return json(200, view(installation));
    if (installation.suspended) return refuse(403, 'This installation has been suspended');
    const { permissions = installation.permissions, repositories } = body.length > 0 ? JSON.parse(body.toString()) : {};
    if (
      Object.entries(permissions).some(([name, level]) =>
        installation.permissions[name] === 'read' ? level !== 'read' : installation.permissions[name] === undefined,
      )
    )
      return refuse(422, 'The permissions requested are not granted to this installation.');
    if (repositories?.some((/** @type {string} */ name) => !installation.repositories.includes(name)))
      return refuse(
        422,
        'There is at least one repository that does not exist or is not accessible to the parent installation.',
      );
    const grant = issue(
      {
        login: `${app.slug}[bot]`,
        kind: 'installation',
        expiresAt: clock() + settings.lifetime * 1000,
        permissions,
        repositories: repositories ?? installation.repositories,
      },
      'ghs',
    );
    return json(201, {
      token: grant.token,
      expires_at: new Date(grant.expiresAt).toISOString().replace(/\.\d+Z$/, 'Z'),
      permissions,
      repository_selection: repositories ? 'selected' : 'all',
    });
  }

  /** @param {RequestHead} head */
  function holder({ headers }) {
    const sent = /^(?:bearer|token) (\S+)$/i.exec(headers.authorization ?? '')?.[1];
    const found = tokens.get(sent ?? '');
    return found && found.expiresAt > clock() ? found : undefined;
  }

  /** @param {URLSearchParams} form @returns {Answer} */
  function deviceCode(form) {
    const clientId = form.get('client_id') ?? '';
    if (![...apps.values()].some((app) => app.clientId === clientId)) return json(404, { error: 'Not Found' });
    const userCode = `${randomUUID().slice(0, 4)}-${randomUUID().slice(0, 4)}`.toUpperCase();
    const code = randomUUID();
    codes.set(code, {
      clientId,
      userCode,
      scope: form.get('scope') ?? '',
      state: 'pending',
      login: 'ada',
      last: -Infinity,
    });
    return json(200, {
      device_code: code,
      user_code: userCode,
      verification_uri: `https://${host}/login/device`,
      expires_in: 900,
      interval: settings.interval,
    });
  }

  /** @param {URLSearchParams} form @returns {Answer} */
  function accessToken(form) {
    const fail = (/** @type {string} */ error) =>
      json(200, { error, error_description: 'See the documentation.', error_uri: DOCS });
    const clientId = form.get('client_id') ?? '';
    const grant = (/** @type {string} */ login, /** @type {string} */ scope) => {
      const expiresAt = settings.expiring ? clock() + settings.lifetime * 1000 : Infinity;
      const { token } = issue({ login, kind: 'user', expiresAt, permissions: {}, repositories: [] }, 'ghu');
      if (!settings.expiring) return json(200, { access_token: token, token_type: 'bearer', scope });
      const refresh = `ghr_${randomUUID()}`;
      refreshTokens.set(refresh, { clientId, login });
      return json(200, {
        access_token: token,
        token_type: 'bearer',
        scope: '',
        expires_in: settings.lifetime,
        refresh_token: refresh,
        refresh_token_expires_in: 15_897_600,
      });
    };
    if (form.get('grant_type') === 'refresh_token') {
      const spent = form.get('refresh_token') ?? '';
      const known = refreshTokens.get(spent);
      if (known?.clientId !== clientId) return fail('bad_refresh_token');
      refreshTokens.delete(spent);
      return grant(known.login, '');
    }
    const code = codes.get(form.get('device_code') ?? '');
    if (form.get('grant_type') !== 'urn:ietf:params:oauth:grant-type:device_code')
      return fail('unsupported_grant_type');
    if (!code || code.clientId !== clientId) return fail('incorrect_device_code');
    if (code.state === 'denied') return fail('access_denied');
    if (code.state === 'pending') return fail('authorization_pending');
    codes.delete(form.get('device_code') ?? '');
    return grant(code.login, code.scope.replaceAll(' ', ','));
  }

  /** @param {RequestHead} head @param {Buffer} body @returns {Promise<Answer | undefined>} */
  const api = async (head, body) => {
    const fault = await settings.fault?.(head, body);
    if (fault !== undefined) return fault;
    const path = new URL(head.path, 'http://github').pathname.replace(/^\/api\/v3/, '');
    const form = new URLSearchParams(body.toString());
    if (head.method === 'POST' && path === '/login/device/code') return deviceCode(form);
    if (head.method === 'POST' && path === '/login/oauth/access_token') return accessToken(form);
    if (head.headers['user-agent'] === undefined)
      return { status: 403, body: 'Request forbidden by administrative rules.' };
    if (path === '/user') {
      const one = holder(head);
      if (!one) return refuse(401, 'Bad credentials');
      if (one.kind === 'installation') return refuse(403, 'Resource not accessible by integration');
      return json(200, { login: one.login }, { 'x-oauth-scopes': 'repo, read:org' });
    }
    return asApp(head, body, path);
  };

  return {
    settings,
    host,
    /** Every token so far. */
    issued,
    api,

    /** Guards GitHub's MCP server: `Bearer` only, and the permission or repository that the call needs. @param {{ permission?: [string, string], repository?: string, login?: string }} [needs] @returns {Verify} */
    mcp({ permission, repository, login } = {}) {
      return (head) => {
        if (!/^Bearer /.test(head.headers.authorization ?? ''))
          return json(
            401,
            { error: 'No bearer token was sent.' },
            { 'www-authenticate': 'Bearer error="invalid_request"' },
          );
        const one = holder(head);
        const early = one?.kind === 'installation' && settings.unknownAtFirst-- > 0;
        if (!one || early)
          return json(401, { message: 'Bad credentials' }, { 'www-authenticate': 'Bearer error="invalid_token"' });
        if (
          permission &&
          one.permissions[permission[0]] !== permission[1] &&
          one.permissions[permission[0]] !== 'write'
        )
          return refuse(403, 'Resource not accessible by integration', {
            'x-accepted-github-permissions': permission.join('='),
          });
        if (repository !== undefined && !one.repositories.includes(repository)) return refuse(404, 'Not Found');
        return login !== undefined && one.login !== login
          ? refuse(403, 'Resource not accessible by personal access token')
          : undefined;
      };
    },

    /** A refusal by rate limit, as GitHub's. @param {403 | 429} status @param {number} seconds Until the limit is reset. @returns {Answer} */
    limited: (status, seconds) =>
      refuse(status, 'API rate limit exceeded for installation.', {
        'x-ratelimit-limit': '5000',
        'x-ratelimit-remaining': '0',
        'x-ratelimit-reset': String(now() + seconds),
      }),

    /** Registers an App; answers its private key, as GitHub gives it (PKCS#1 PEM). @param {string} slug @param {number} id */
    async app(slug, id) {
      const pair = await rsa('rsa', { modulusLength: 2048 });
      const clientId = `Iv23li${slug}`;
      apps.set(slug, { id, clientId, slug, key: pair.publicKey });
      return { id, clientId, privateKey: String(pair.privateKey.export({ type: 'pkcs1', format: 'pem' })) };
    },

    /** Installs an App. @param {Installation} installation */
    install: (installation) => void installations.push(installation),

    /** A personal access token. @param {string} [login] */
    token: (login = 'ada') =>
      issue({ login, kind: 'user', expiresAt: Infinity, permissions: {}, repositories: [] }, 'ghp').token,

    /** @param {string} token */
    revoke: (token) => void tokens.delete(token),

    /** The codes that wait for a person. */
    codes: () => [...codes.values()].filter(({ state }) => state === 'pending').map(({ userCode }) => userCode),

    /** A person enters the code. @param {string} userCode @param {'approved' | 'denied'} [state] */
    enter(userCode, state = 'approved') {
      const code = [...codes.values()].find((one) => one.userCode === userCode);
      if (!code) throw new Error('no such code');
      code.state = state;
    },

    /** Forgets all but the Apps. */
    reset() {
      for (const one of [tokens, codes, refreshTokens]) one.clear();
      installations.length = issued.length = 0;
      Object.assign(settings, { lifetime, interval: 5, expiring: false, fault: undefined, unknownAtFirst: 0 });
    },
  };
}

/** @param {number} status @param {string} message @param {Record<string, string>} [headers] @returns {Answer} */
function refuse(status, message, headers) {
  return json(status, { message, documentation_url: DOCS, status: String(status) }, headers);
}

/** @param {string} part */
function parsed(part) {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString());
  } catch {
    return {};
  }
}
