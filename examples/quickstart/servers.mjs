import { apiKey, awsSigV4, bearer, everything, startGuard } from '@countersign/test-servers';
import { createGoogle } from '@countersign/test-servers/google';

/**
 * @typedef {import('@countersign/test-servers').Guard} Guard
 * @typedef {Record<string, string | undefined>} Env
 */

/**
 * Starts what stands behind each name of countersign.json, at the port that it names: server-everything from npm, and in front of it a guard that
 * verifies what it is shown. Where a port is taken, a free one is used and written into the configuration.
 * @param {Record<string, { type?: string, url?: string }>} configured
 * @param {Env} env The values of .env.
 */
export async function startServers(configured, env) {
  const google = await createGoogle();
  const metadata = await startGuard({ verify: google.endpoints });

  /** @type {Record<string, (origin: string) => import('@countersign/test-servers').Verify | undefined>} */
  const verifiers = {
    open: () => undefined,
    bearer: () => bearer(env.BEARER_TOKEN ?? ''),
    'api-key': () => apiKey({ key: env.API_KEY ?? '' }),
    sse: () => bearer(env.SSE_TOKEN ?? ''),
    aws: () => awsSigV4({ keys: awsKeys(env), region: 'us-east-1', service: 'execute-api', once: true }),
    gcp: (origin) => google.idToken(origin, { email: google.email }),
  };

  /** @type {Map<string, Guard>} */
  const guards = new Map();
  for (const [name, server] of Object.entries(configured)) {
    if (server.url === undefined) continue; // stdio: the client starts it
    const url = new URL(server.url);
    const { url: target } = await everything(server.type === 'sse' ? 'sse' : 'streamableHttp');
    /** @type {import('@countersign/test-servers').Verify | undefined} */
    let verify;
    const options = { target, verify: (/** @type {[any, any]} */ ...seen) => verify?.(...seen) };
    const guard = await startGuard({ ...options, port: Number(url.port) }).catch((error) => {
      if (error.code !== 'EADDRINUSE') throw error;
      return startGuard(options);
    });
    verify = verifiers[name]?.(guard.origin);
    url.port = String(guard.port);
    server.url = url.href;
    guards.set(name, guard);
  }

  return {
    guards,
    /** What the command line needs to know of this machine: where its cloud's metadata server is. */
    env: { GCE_METADATA_HOST: `127.0.0.1:${metadata.port}` },
    async close() {
      for (const guard of [metadata, ...guards.values()]) await guard.close();
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
