import { generateKeyPair as generate } from 'node:crypto';
import { promisify } from 'node:util';
import { createLocalJWKSet, exportJWK, jwtVerify, SignJWT } from 'jose';
import { json, unauthorized } from './verifiers.mjs';

/** @typedef {import('./guard.mjs').Answer} Answer @typedef {import('./guard.mjs').Verify} Verify @typedef {import('./guard.mjs').RequestHead} RequestHead */
/** @typedef {Awaited<ReturnType<typeof createGoogle>>} Google */

const ISSUER = 'https://accounts.google.com';
const TOKEN_URL = 'https://oauth2.googleapis.com/token';
const APIS = 'https://www.googleapis.com/';
const rsa = promisify(generate);

/**
 * Google's token endpoints and metadata server: `endpoints` is what a guard without a target verifies with (in the place of oauth2, sts and
 * iamcredentials.googleapis.com, or of GCE_METADATA_HOST), and `accessToken` and `idToken` guard MCP servers. Tokens are RS256 JWTs, so nothing is
 * taken on trust: assertions are verified as Google does, and the guards verify issuer, audience, expiry and email with jose.
 * @param {{ clock?: () => number, lifetime?: number, project?: string, email?: string }} [options] `lifetime` in seconds.
 */
export async function createGoogle({
  clock = Date.now,
  lifetime = 3600,
  project = 'countersign-test',
  email = `machine@${project}.iam.gserviceaccount.com`,
} = {}) {
  const { privateKey, publicKey } = await rsa('rsa', { modulusLength: 2048 });
  const jwks = createLocalJWKSet({
    keys: [{ ...(await exportJWK(publicKey)), kid: 'google', alg: 'RS256', use: 'sig' }],
  });
  /** @type {Map<string, import('node:crypto').KeyObject>} */
  const accounts = new Map();
  /** @type {Map<string, { email: string, clientId: string, clientSecret: string }>} */
  const refreshTokens = new Map();
  /** @type {{ kind: 'access' | 'id', to: string, audience: string, by: string, token: string }[]} */
  const issued = [];
  const settings = {
    lifetime,
    /** Answers in the endpoints' place: a fault. @type {((head: RequestHead, body: Buffer) => Answer | undefined | Promise<Answer | undefined>) | undefined} */
    fault: undefined,
    /** Accounts that nobody may impersonate. @type {Set<string>} */
    closed: new Set(),
  };
  const now = () => Math.floor(clock() / 1000);

  /** @param {'access' | 'id'} kind @param {string} to @param {string} audience @param {string} by @param {Record<string, unknown>} [claims] */
  async function issue(kind, to, audience, by, claims = {}) {
    const token = await new SignJWT({ email: to, email_verified: true, serial: issued.length, ...claims })
      .setProtectedHeader({ alg: 'RS256', kid: 'google', typ: 'JWT' })
      .setIssuer(ISSUER)
      .setSubject(to)
      .setAudience(audience)
      .setIssuedAt(now())
      .setExpirationTime(now() + settings.lifetime)
      .sign(privateKey);
    issued.push({ kind, to, audience, by, token });
    return token;
  }

  /** @param {string} to @param {string} by @param {string} scope */
  async function access(to, by, scope) {
    return {
      access_token: await issue('access', to, APIS, by, { scope }),
      expires_in: settings.lifetime,
      token_type: 'Bearer',
    };
  }

  /** @param {string} token @param {string} audience */
  async function verified(token, audience) {
    const { payload } = await jwtVerify(token, jwks, {
      issuer: ISSUER,
      audience,
      algorithms: ['RS256'],
      currentDate: new Date(clock()),
      requiredClaims: ['exp', 'iat', 'email'],
    });
    return /** @type {import('jose').JWTPayload & { email: string, scope?: string }} */ (payload);
  }

  /** @param {RequestHead} head @returns {Promise<Answer>} */
  async function metadata({ path, headers }) {
    if (headers['metadata-flavor'] !== 'Google') return { status: 403, body: 'Missing Metadata-Flavor:Google header.' };
    const { pathname, searchParams } = new URL(path, 'http://metadata');
    const flavored = { 'metadata-flavor': 'Google', server: 'Metadata Server for VM' };
    const text = (/** @type {string} */ body) => ({
      status: 200,
      headers: { ...flavored, 'content-type': 'application/text' },
      body,
    });
    const rest = pathname.replace(/^\/computeMetadata\/v1\//, '');
    if (pathname === '/') return text('computeMetadata/');
    if (rest === 'project/project-id') return text(project);
    if (rest === 'instance/service-accounts/default/email') return text(email);
    if (rest === 'instance/service-accounts/default/token')
      return json(
        200,
        await access(email, 'metadata', (searchParams.get('scopes') ?? '').replaceAll(',', ' ')),
        flavored,
      );
    if (rest === 'instance/service-accounts/default/identity') {
      const audience = searchParams.get('audience');
      return audience
        ? text(await issue('id', email, audience, 'metadata'))
        : { status: 400, headers: flavored, body: 'non-empty audience parameter required' };
    }
    return { status: 404, headers: flavored, body: 'not found' };
  }

  /** @param {URLSearchParams} form @returns {Promise<Answer>} */
  async function token(form) {
    switch (form.get('grant_type')) {
      case 'urn:ietf:params:oauth:grant-type:jwt-bearer': {
        const assertion = form.get('assertion') ?? '';
        try {
          const { payload } = await jwtVerify(
            assertion,
            (_, { payload: part }) => {
              const { iss } = JSON.parse(Buffer.from(String(part), 'base64url').toString());
              const key = accounts.get(iss);
              if (!key) throw new Error('unknown issuer');
              return key;
            },
            {
              audience: TOKEN_URL,
              algorithms: ['RS256'],
              currentDate: new Date(clock()),
              requiredClaims: ['exp', 'iat', 'iss'],
            },
          );
          const {
            iat = 0,
            exp = 0,
            iss = '',
            scope,
            target_audience: audience,
          } = /** @type {Record<string, any>} */ (payload);
          if (exp - iat > 3600 || iat > now() + 60)
            return oauthError(
              'invalid_grant',
              'Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.',
            );
          if (audience) return json(200, { id_token: await issue('id', iss, audience, iss) });
          if (!scope) return oauthError('invalid_scope', 'Invalid OAuth scope or ID token audience provided.');
          return json(200, await access(iss, iss, scope));
        } catch (error) {
          if (/exp|iat/.test(String(error)))
            return oauthError(
              'invalid_grant',
              'Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.',
            );
          return oauthError('invalid_grant', 'Invalid JWT Signature.');
        }
      }
      case 'refresh_token': {
        const user = refreshTokens.get(form.get('refresh_token') ?? '');
        if (!user) return oauthError('invalid_grant', 'Token has been expired or revoked.');
        if (user.clientId !== form.get('client_id') || user.clientSecret !== form.get('client_secret'))
          return json(401, { error: 'invalid_client', error_description: 'Unauthorized' });
        const scope =
          'openid https://www.googleapis.com/auth/userinfo.email https://www.googleapis.com/auth/cloud-platform';
        // A user's ID token is for the client that signed the user in, whatever audience is asked for.
        return json(200, {
          ...(await access(user.email, 'user', scope)),
          scope,
          id_token: await issue('id', user.email, user.clientId, 'user'),
        });
      }
      default:
        return oauthError('unsupported_grant_type', 'Invalid grant_type');
    }
  }

  /** @param {URLSearchParams} form @returns {Promise<Answer>} */
  async function exchange(form) {
    if (form.get('grant_type') !== 'urn:ietf:params:oauth:grant-type:token-exchange')
      return oauthError('unsupported_grant_type', 'Invalid grant_type');
    const subject = form.get('subject_token') ?? '';
    const audience = form.get('audience') ?? '';
    if (form.get('subject_token_type') === 'urn:ietf:params:aws:token-type:aws4_request') {
      const { url = '', headers = [] } = JSON.parse(decodeURIComponent(subject));
      const names = headers.map((/** @type {{ key: string }} */ { key }) => key.toLowerCase());
      if (
        !url.includes('Action=GetCallerIdentity') ||
        !names.includes('authorization') ||
        !names.includes('x-goog-cloud-target-resource')
      )
        return oauthError('invalid_grant', 'The AWS request is not a signed GetCallerIdentity.');
    } else {
      try {
        await jwtVerify(subject, jwks, { issuer: ISSUER, audience, currentDate: new Date(clock()) });
      } catch {
        return oauthError('invalid_grant', 'The subject token is not valid.');
      }
    }
    const answer = await access('federated', 'sts', form.get('scope') ?? '');
    return json(200, { ...answer, issued_token_type: form.get('requested_token_type') });
  }

  /** @param {string} target @param {string} method @param {RequestHead} head @param {Buffer} body @returns {Promise<Answer>} */
  async function impersonate(target, method, { headers }, body) {
    let caller;
    try {
      caller = await verified(String(headers.authorization).replace(/^Bearer /, ''), APIS);
    } catch {
      return json(401, {
        error: { code: 401, message: 'Request had invalid authentication credentials.', status: 'UNAUTHENTICATED' },
      });
    }
    if (settings.closed.has(target))
      return json(403, {
        error: {
          code: 403,
          message: `Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).`,
          status: 'PERMISSION_DENIED',
        },
      });
    const { scope = [], audience } = JSON.parse(body.toString());
    if (method === 'generateIdToken') return json(200, { token: await issue('id', target, audience, caller.email) });
    const { access_token: accessToken } = await access(target, caller.email, [scope].flat().join(' '));
    return json(200, { accessToken, expireTime: new Date((now() + settings.lifetime) * 1000).toISOString() });
  }

  /** @param {RequestHead} head @param {Buffer} body @returns {Promise<Answer | undefined>} */
  const endpoints = async (head, body) => {
    const fault = await settings.fault?.(head, body);
    if (fault !== undefined) return fault;
    const { pathname } = new URL(head.path, 'http://google');
    if (pathname === '/' || pathname.startsWith('/computeMetadata/')) return metadata(head);
    if (head.method !== 'POST') return { status: 404 };
    const form = new URLSearchParams(body.toString());
    if (pathname === '/token') return token(form);
    if (pathname === '/v1/token') return exchange(form);
    if (pathname === '/tokeninfo') {
      const payload = await verified(form.get('access_token') ?? '', APIS).catch(() => undefined);
      return payload
        ? json(200, { email: payload.email, scope: payload.scope, exp: String(payload.exp) })
        : json(400, { error: 'invalid_token' });
    }
    const call = /^\/v1\/projects\/-\/serviceAccounts\/([^/:]+):(generateAccessToken|generateIdToken)$/.exec(
      decodeURIComponent(pathname),
    );
    return call ? impersonate(String(call[1]), String(call[2]), head, body) : { status: 404 };
  };

  /** @param {string} audience @param {{ email?: string, scope?: string, header?: string }} options @returns {Verify} */
  function guard(audience, { email: expected, scope, header = 'authorization' }) {
    return async ({ headers }) => {
      const sent = /^Bearer (\S+)$/.exec(String(headers[header.toLowerCase()]))?.[1];
      if (sent === undefined) return unauthorized('Bearer realm="google"', 'No bearer token was sent.');
      try {
        const payload = await verified(sent, audience);
        if (expected !== undefined && payload.email !== expected)
          return json(403, {
            error: { code: 403, status: 'PERMISSION_DENIED', message: 'The caller does not have permission' },
          });
        if (scope !== undefined && !payload.scope?.split(' ').includes(scope))
          return json(403, {
            error: {
              code: 403,
              status: 'PERMISSION_DENIED',
              details: [
                { '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: 'ACCESS_TOKEN_SCOPE_INSUFFICIENT' },
              ],
            },
          });
        return undefined;
      } catch (error) {
        return unauthorized('Bearer realm="google", error="invalid_token"', String(error));
      }
    };
  }

  return {
    settings,
    email,
    project,
    /** Every token so far: to whom, for what audience, by whose word. */
    issued,
    endpoints,
    /** Forgets the tokens, faults and accounts of the test before. */
    reset() {
      issued.length = 0;
      accounts.clear();
      refreshTokens.clear();
      settings.closed.clear();
      settings.lifetime = lifetime;
      settings.fault = undefined;
    },
    /** Guards an API of Google's: an access token with the scope, of the account. @param {{ email?: string, scope?: string, header?: string }} [options] @returns {Verify} */
    accessToken: ({ scope = 'https://www.googleapis.com/auth/cloud-platform', ...options } = {}) =>
      guard(APIS, { scope, ...options }),
    /** Guards Cloud Run or IAP: an ID token for the audience, of the account. @param {string} audience @param {{ email?: string, header?: string }} [options] @returns {Verify} */
    idToken: (audience, options = {}) => guard(audience, options),

    /** A new service account: its key file's content. @param {string} [name] */
    async serviceAccount(name = 'robot') {
      const pair = await rsa('rsa', { modulusLength: 2048 });
      const client_email = `${name}@${project}.iam.gserviceaccount.com`;
      accounts.set(client_email, pair.publicKey);
      return {
        type: 'service_account',
        project_id: project,
        private_key_id: 'test',
        private_key: String(pair.privateKey.export({ type: 'pkcs8', format: 'pem' })),
        client_email,
        client_id: '1',
        token_uri: TOKEN_URL,
      };
    },

    /** A person who ran `gcloud auth application-default login`: the file's content. @param {{ email?: string, quotaProject?: string }} [options] */
    user({ email: person = 'ada@example.com', quotaProject } = {}) {
      const refresh_token = `1//refresh-${crypto.randomUUID()}`;
      const client_secret = `GOCSPX-${crypto.randomUUID()}`;
      const client_id = 'gcloud.apps.googleusercontent.com';
      refreshTokens.set(refresh_token, { email: person, clientId: client_id, clientSecret: client_secret });
      return {
        type: 'authorized_user',
        client_id,
        client_secret,
        refresh_token,
        ...(quotaProject === undefined ? {} : { quota_project_id: quotaProject }),
      };
    },

    /** Ends a person's sign-in. @param {string} refreshToken */
    revoke: (refreshToken) => void refreshTokens.delete(refreshToken),

    /** Workload identity federation: the file's content, and the subject token that its source must give. @param {Record<string, unknown>} credentialSource @param {{ account?: string, aws?: boolean }} [options] */
    async federation(credentialSource, { account, aws = false } = {}) {
      const audience = '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/test';
      const subject = await issue('id', 'repo:example/app', audience, 'github-actions');
      return {
        subject,
        file: {
          type: 'external_account',
          audience,
          subject_token_type: aws
            ? 'urn:ietf:params:aws:token-type:aws4_request'
            : 'urn:ietf:params:oauth:token-type:jwt',
          token_url: 'https://sts.googleapis.com/v1/token',
          ...(account === undefined
            ? {}
            : {
                service_account_impersonation_url: `https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/${account}:generateAccessToken`,
              }),
          credential_source: credentialSource,
        },
      };
    },
  };
}

/** @param {string} error @param {string} description @returns {Answer} */
function oauthError(error, description) {
  return json(400, { error, error_description: description });
}
