import { apiKey, awsSigV4, bearer, everything, startGuard } from '@countersign/test-servers';
import { createGitHub } from '@countersign/test-servers/github';
import { createGoogle } from '@countersign/test-servers/google';
import { startOidc } from '@countersign/test-servers/oidc';

/**
 * @typedef {import('@countersign/test-servers').Guard} Guard
 * @typedef {import('@countersign/test-servers').Verify} Verify
 * @typedef {Record<string, string | undefined>} Env
 */

/**
 * Starts what stands behind each name of countersign.json, at the port that it names: server-everything from npm, and in front of it a guard that
 * verifies what it is shown. Where a port is taken, a free one is used and written into the configuration.
 * @param {Record<string, { type?: string, url?: string }>} configured
 * @param {Env} env The values of .env.
 */
export async function startServers(configured, env) {
  const [google, github] = await Promise.all([createGoogle(), createGitHub(), everything(), everything('sse')]);
  const metadata = await startGuard({ verify: google.endpoints });
  const githubApi = await startGuard({ verify: github.api });
  const app = await github.app('quickstart', 4711);
  github.install({
    id: 1,
    account: 'example',
    app: 'quickstart',
    permissions: { issues: 'write' },
    repositories: ['app'],
  });
  /** @type {import('@countersign/test-servers/oidc').Oidc | undefined} */
  let oidc;

  /** What each guard verifies; `origin` is its own. @type {Record<string, (origin: () => string) => Verify | undefined>} */
  const verifiers = {
    open: () => undefined,
    bearer: () => bearer(env.BEARER_TOKEN ?? ''),
    'api-key': () => apiKey({ key: env.API_KEY ?? '' }),
    sse: () => bearer(env.SSE_TOKEN ?? ''),
    aws: () => awsSigV4({ keys: awsKeys(env), region: 'us-east-1', service: 'execute-api', once: true }),
    github: () => github.mcp({ permission: ['issues', 'read'] }),
    gcp: (origin) => (head, body) => google.idToken(origin(), { email: google.email })(head, body),
  };

  /** @param {string} name @param {string | undefined} type @param {number} port @returns {Promise<Guard>} */
  async function start(name, type, port) {
    if (name === 'oauth' || name === 'client-credentials') {
      oidc ??= await startOidc({ port, clients: [machine(env)] }); // one server for both
      return oidc.guard;
    }
    const { url: target } = await everything(type === 'sse' ? 'sse' : 'streamableHttp');
    /** @type {Guard} */
    const guard = await startGuard({ target, port, verify: verifiers[name]?.(() => guard.origin) });
    return guard;
  }

  /** @type {Map<string, Guard>} */
  const guards = new Map();
  for (const [name, server] of Object.entries(configured)) {
    if (server.url === undefined) continue; // stdio: the client starts it
    const url = new URL(server.url);
    const guard = await start(name, server.type, Number(url.port)).catch((error) => {
      if (error.code !== 'EADDRINUSE') throw error;
      return start(name, server.type, 0);
    });
    url.port = String(guard.port);
    server.url = url.href;
    guards.set(name, guard);
  }

  return {
    guards,
    /** What the command line finds in its environment: where the cloud's metadata server and GitHub's API are, and the key of the GitHub App. */
    env: {
      GCE_METADATA_HOST: `127.0.0.1:${metadata.port}`,
      GITHUB_API: githubApi.origin,
      GITHUB_APP_KEY: app.privateKey,
    },
    async close() {
      for (const guard of [metadata, githubApi, ...guards.values()]) await guard.close();
      await oidc?.close();
    },
  };
}

/** @param {Env} env */
function awsKeys({
  AWS_ACCESS_KEY_ID = '',
  AWS_SECRET_ACCESS_KEY: secretAccessKey = '',
  AWS_SESSION_TOKEN: sessionToken = '',
}) {
  return new Map([[AWS_ACCESS_KEY_ID, { secretAccessKey, sessionToken }]]);
}

/** A client that is no person, as the authorization server has it registered. @param {Env} env */
function machine({ CLIENT_SECRET }) {
  return {
    client_id: 'quickstart',
    client_secret: CLIENT_SECRET,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
  };
}
