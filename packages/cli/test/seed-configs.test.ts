import { readdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import {
  awsSigV4,
  closeEverything,
  createAuthority,
  createUvx,
  everything,
  exactHeaders,
  startConnectProxy,
  startGuard,
  type Authority,
  type Verify,
} from '@countersign/test-servers';
import { createGoogle } from '@countersign/test-servers/google';
import { signInAt, startOidc } from '@countersign/test-servers/oidc';
import { createPlace, type Place } from './support/countersign.js';

// The files of fixtures/configs, as their owners wrote them: nothing in them is changed. Every host that they name is reached through a CONNECT proxy
// (HTTPS_PROXY) that leads to a guard with a certificate for it from the test's authority (NODE_EXTRA_CA_CERTS).

const CONFIGS = fileURLToPath(new URL('./fixtures/configs/', import.meta.url));
const AWS = { AWS_ACCESS_KEY_ID: 'AKIDSEED', AWS_SECRET_ACCESS_KEY: 'seed-secret-access-key' };
const ENVIRONMENT = {
  OPENAI_API_KEY: 'seed-openai-key',
  CUSTOM_API_KEY: 'seed-custom-key',
  API_TOKEN: 'seed-api-token',
  GITHUB_TOKEN: 'ghp_seedgithubtoken',
  ...AWS,
};

jest.setTimeout(30_000);
let authority: Authority;
let place: Place;
beforeAll(async () => {
  authority = await createAuthority();
  place = await createPlace();
});
const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});
afterAll(async () => {
  await closeEverything();
  await authority.close();
  await place.remove();
});

function closing<T extends { close(): Promise<void> }>(closable: T): T {
  open.push(closable);
  return closable;
}

const wordsFor = (file: string, words: string[]) => ['--config', join(CONFIGS, file), '--json', ...words];
const trusting = (env: Record<string, string>) => ({ env: { NODE_EXTRA_CA_CERTS: authority.caFile, ...env } });

/** Runs the command line as it is published, with nothing of this machine's environment but PATH. */
async function countersign(file: string, words: string[], env: Record<string, string> = {}) {
  const { code, json, stderr } = await place.run(wordsFor(file, words), trusting(env));
  return { code, output: json, stderr };
}

/** A guard for one transport, and the proxy that leads every host to it. */
async function guarded(verify: Verify, transport: 'streamableHttp' | 'sse' = 'streamableHttp') {
  const guard = closing(await startGuard({ target: (await everything(transport)).url, tls: { authority }, verify }));
  const proxy = closing(await startConnectProxy({ to: guard }));
  return { guard, proxy, env: { ...ENVIRONMENT, HTTPS_PROXY: proxy.url.href } };
}

const SERVERS: { file: string; server: string; host: string; headers: Record<string, string>; transport?: 'sse' }[] = [
  {
    file: 'advanced-headers.json',
    server: 'key-and-secret',
    host: 'a.example.com',
    headers: { 'x-api-key': 'public-key-123', 'x-api-secret': 'secret-key-456', 'x-timestamp': '2024-01-15T10:30:00Z' },
  },
  {
    file: 'advanced-headers.json',
    server: 'custom-authorization',
    host: 'b.example.com',
    headers: { authorization: 'CustomScheme key=value, signature=abc123', 'x-request-id': 'unique-request-id' },
  },
  {
    file: 'advanced-headers.json',
    server: 'certificate-based',
    host: 'c.example.com',
    headers: { 'x-client-certificate': 'cert-fingerprint', 'x-certificate-subject': 'CN=client.example.com' },
  },
  {
    file: 'bearer.json',
    server: 'api-server',
    host: 'api.example.com',
    headers: { authorization: 'Bearer your-token-here' },
  },
  {
    file: 'custom-headers.json',
    server: 'custom-server',
    host: 'internal.api.com',
    headers: { 'x-api-key': 'your-api-key', 'x-client-id': 'mcpomni-connect', 'x-service-version': 'v1' },
  },
  {
    file: 'env-secrets.json',
    server: 'api-server',
    host: 'api.example.com',
    headers: { authorization: 'Bearer seed-openai-key', 'x-custom-key': 'seed-custom-key' },
  },
  {
    file: 'github.json',
    server: 'github',
    host: 'api.github.com',
    headers: { authorization: 'Bearer ghp_seedgithubtoken', 'user-agent': 'MCPOmni-Connect' },
  },
  {
    file: 'omni-wrapper.json',
    server: 'api-server',
    host: 'api.example.com',
    headers: { authorization: 'Bearer seed-api-token' },
  },
  {
    file: 'secure.json',
    server: 'server',
    host: 'secure-api.example.com',
    headers: { authorization: 'Bearer seed-api-token' },
  },
  {
    file: 'sse.json',
    server: 'sse-server',
    host: 'stream.api.com',
    headers: { authorization: 'Bearer sse-token-123', 'x-stream-type': 'mcp-events' },
    transport: 'sse',
  },
];

describe('calls a tool with the file as it stands', () => {
  test.each(SERVERS)('$file: $server', async ({ file, server, host, headers, transport }) => {
    const { guard, proxy, env } = await guarded(exactHeaders(headers), transport);

    const { code, output, stderr } = await countersign(file, ['call', server, 'echo', 'message=hi'], env);

    expect({ code, output, stderr }).toEqual({
      code: 0,
      output: { content: [{ type: 'text', text: 'Echo: hi' }] },
      stderr: '',
    });
    expect(new Set(proxy.hosts)).toEqual(new Set([`${host}:443`]));
    expect(new Set(guard.requests.map((request) => request.headers.host))).toEqual(new Set([host]));
    expect(new Set(guard.requests.map(({ servername }) => servername))).toEqual(new Set([host]));
    expect(guard.requests.filter(({ refused }) => refused)).toEqual([]);
  });

  test("github.json: its Accept goes beside the transport's", async () => {
    const { guard, env } = await guarded(() => undefined);
    expect(await countersign('github.json', ['call', 'github', 'echo', 'message=hi'], env)).toMatchObject({ code: 0 });
    expect(guard.called('tools/call')[0]?.headers.accept).toMatch(
      /^application\/json, text\/event-stream, application\/vnd\.github\.v3\+json$/,
    );
  });

  test.each([
    ['without a session token', {}],
    ['with a session token', { AWS_SESSION_TOKEN: 'seed-session-token' }],
  ])('aws.json: each request signed anew, %s', async (_, token: { AWS_SESSION_TOKEN?: string }) => {
    const sessionToken = token.AWS_SESSION_TOKEN;
    const keys = new Map([
      [
        AWS.AWS_ACCESS_KEY_ID,
        { secretAccessKey: AWS.AWS_SECRET_ACCESS_KEY, ...(sessionToken ? { sessionToken } : {}) },
      ],
    ]);
    const { guard, proxy, env } = await guarded(
      awsSigV4({ keys, region: 'us-east-1', service: 'service', once: true }),
    );

    const { code, output } = await countersign('aws.json', ['call', 'aws-service', 'echo', 'message=hi'], {
      ...env,
      ...token,
    });

    expect({ code, output }).toEqual({ code: 0, output: { content: [{ type: 'text', text: 'Echo: hi' }] } });
    expect(new Set(proxy.hosts)).toEqual(new Set(['service.us-east-1.amazonaws.com:443']));
    expect(guard.requests.map(({ headers }) => headers['x-amz-security-token'])).toEqual(
      guard.requests.map(() => sessionToken),
    );
  });

  test('gcp.json: an access token by a service account, asked for at Google through the same proxy', async () => {
    const google = await createGoogle();
    const account = await google.serviceAccount();
    const keyFile = join(place.folder, 'service-account.json');
    writeFileSync(keyFile, JSON.stringify(account));
    const { guard, env } = await guarded(google.accessToken({ email: account.client_email }));
    const endpoints = closing(await startGuard({ tls: { authority }, verify: google.endpoints }));
    const proxy = closing(
      await startConnectProxy({ to: (host) => (host === 'oauth2.googleapis.com' ? endpoints : guard) }),
    );

    const { code, output } = await countersign('gcp.json', ['call', 'gcp-service', 'echo', 'message=hi'], {
      ...env,
      HTTPS_PROXY: proxy.url.href,
      GOOGLE_APPLICATION_CREDENTIALS: keyFile,
    });

    expect({ code, output }).toEqual({ code: 0, output: { content: [{ type: 'text', text: 'Echo: hi' }] } });
    expect(new Set(proxy.hosts)).toEqual(new Set(['oauth2.googleapis.com:443', 'service.googleapis.com:443']));
    expect(google.issued).toHaveLength(1);
  });

  test('oauth.json: discovery, registration, a sign-in in the browser, and the call', async () => {
    const published = { issuer: 'https://auth.example.com', resource: 'https://api.example.com/mcp', authority };
    const oidc = closing(await startOidc({ published }));
    const proxy = closing(
      await startConnectProxy({ to: (host) => (host === 'auth.example.com' ? oidc.front : oidc.guard) }),
    );
    const env = { HTTPS_PROXY: proxy.url.href };
    expect(await countersign('oauth.json', ['call', 'oauth-server', 'echo', 'message=hi'], env)).toMatchObject({
      code: 3,
      output: { error: { code: 'LOGIN_REQUIRED', server: 'oauth-server' } },
    });

    const login = place.start(wordsFor('oauth.json', ['login', 'oauth-server', '--no-browser']), trusting(env));
    await login.shows('code_challenge');
    await signInAt(new URL(/https:\S+/.exec(login.text())?.[0] ?? ''), { local: oidc.local });
    expect(await login.ended).toMatchObject({ code: 0, json: { server: 'oauth-server' } });
    const { code, output } = await countersign('oauth.json', ['call', 'oauth-server', 'echo', 'message=hi'], env);

    expect({ code, output }).toEqual({ code: 0, output: { content: [{ type: 'text', text: 'Echo: hi' }] } });
    expect(new Set(proxy.hosts)).toEqual(new Set(['api.example.com:443', 'auth.example.com:443']));
  });

  test('no-auth.json: the stdio server by uvx', async () => {
    const uvx = closing(await createUvx());
    const env = { PATH: `${uvx.folder}${delimiter}${process.env['PATH']}` };
    const { code, output } = await countersign('no-auth.json', ['tools', 'local-server'], env);
    expect(code).toBe(0);
    expect(JSON.stringify(output)).toContain('list_directory');
  });

  test('no-auth.json: the public server on its port', async () => {
    const guard = closing(await startGuard({ target: (await everything()).url, host: 'localhost', port: 8080 }));
    expect(await countersign('no-auth.json', ['call', 'public-server', 'echo', 'message=hi'])).toMatchObject({
      code: 0,
    });
    expect(guard.called('tools/call')).toHaveLength(1);
  });
});

describe('check', () => {
  const LITERALS: Record<string, number> = {
    'advanced-headers.json': 3,
    'bearer.json': 1,
    'custom-headers.json': 1,
    'insecure.json': 1,
    'sse.json': 1,
  };
  const files = readdirSync(CONFIGS).filter((file) => file.endsWith('.json'));

  test.each(files.filter((file) => file !== 'insecure.json'))('passes %s', async (file) => {
    const { code, output } = await countersign(file, ['check'], ENVIRONMENT);
    const { ok, errors, warnings } = output as unknown as {
      ok: boolean;
      errors: unknown[];
      warnings: { code: string }[];
    };
    expect({ code, ok, errors }).toEqual({ code: 0, ok: true, errors: [] });
    expect(warnings.filter((warning) => warning.code === 'LITERAL_SECRET')).toHaveLength(LITERALS[file] ?? 0);
  });

  test('reports both faults of insecure.json, and ends with 2', async () => {
    const { code, output } = await countersign('insecure.json', ['check']);
    expect(code).toBe(2);
    expect(output).toMatchObject({
      ok: false,
      errors: [{ code: 'CREDENTIAL_OVER_HTTP', server: 'server' }],
      warnings: [{ code: 'LITERAL_SECRET', server: 'server', field: 'headers.Authorization' }],
    });
  });

  test('sends nothing for insecure.json', async () => {
    const { guard, proxy, env } = await guarded(() => undefined);
    const { code, output } = await countersign('insecure.json', ['call', 'server', 'echo', 'message=hi'], {
      ...env,
      HTTP_PROXY: proxy.url.href,
    });
    expect(code).toBe(2);
    expect(output).toMatchObject({ error: { code: 'CREDENTIAL_OVER_HTTP', server: 'server' } });
    expect(JSON.stringify(output)).not.toContain('hardcoded-token-123');
    expect([proxy.hosts, guard.requests]).toEqual([[], []]);
  });
});
