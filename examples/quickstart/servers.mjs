import { apiKey, awsSigV4, bearer, everything, startGuard } from '@countersign/test-servers';

/**
 * @typedef {import('@countersign/test-servers').Guard} Guard
 * @typedef {Record<string, string | undefined>} Env The values of .env.
 */

/**
 * What stands behind each name of countersign.json: server-everything from npm, and in front of it a guard that verifies what it is shown.
 * @type {Record<string, (env: Env) => import('@countersign/test-servers').Verify | undefined>}
 */
const verifiers = {
  open: () => undefined,
  bearer: ({ BEARER_TOKEN = '' }) => bearer(BEARER_TOKEN),
  'api-key': ({ API_KEY = '' }) => apiKey({ key: API_KEY }),
  sse: ({ SSE_TOKEN = '' }) => bearer(SSE_TOKEN),
  aws: ({
    AWS_ACCESS_KEY_ID = '',
    AWS_SECRET_ACCESS_KEY: secretAccessKey = '',
    AWS_SESSION_TOKEN: sessionToken = '',
  }) =>
    awsSigV4({
      keys: new Map([[AWS_ACCESS_KEY_ID, { secretAccessKey, sessionToken }]]),
      region: 'us-east-1',
      service: 'execute-api',
      once: true,
    }),
};

/**
 * Starts the servers of a configuration at the ports that it names. Where a port is taken, a free one is used and written into the configuration.
 * @param {Record<string, { type?: string, url?: string }>} configured
 * @param {Env} env
 * @returns {Promise<Map<string, Guard>>}
 */
export async function startServers(configured, env) {
  /** @type {Map<string, Guard>} */
  const started = new Map();
  for (const [name, server] of Object.entries(configured)) {
    if (server.url === undefined) continue; // stdio: the client starts it
    const url = new URL(server.url);
    const target = (await everything(server.type === 'sse' ? 'sse' : 'streamableHttp')).url;
    const options = { target, verify: verifiers[name]?.(env) };
    const guard = await startGuard({ ...options, port: Number(url.port) }).catch((error) => {
      if (error.code !== 'EADDRINUSE') throw error;
      return startGuard(options);
    });
    url.port = String(guard.port);
    server.url = url.href;
    started.set(name, guard);
  }
  return started;
}
