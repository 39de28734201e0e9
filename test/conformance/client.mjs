// The client under test. The suite starts it with the server's URL as the last argument and the scenario in the environment.
// It uses Countersign as a user would: createCountersign, its transports, and a person who consents at once. With --bridge it is a desktop client: the
// SDK over stdio, with `countersign bridge` in between, and the person signs in beside it.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { CallToolResultSchema, ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { createCountersign, fileStore } from '@countersign/core';
import oauth from '@countersign/auth-oauth';
import streamableHttp from '@countersign/transport-streamable-http';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const url = process.argv.at(-1);
const scenario = process.env.MCP_CONFORMANCE_SCENARIO ?? '';
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}');
const wire = process.env.MCP_CONFORMANCE_PROTOCOL_VERSION ?? '2025-11-25';

/** A browser without a screen: the suite's authorization server redirects at once. */
const person = {
  async show(url) {
    const answer = await fetch(url, { redirect: 'manual' });
    const location = answer.headers.get('location');
    if (location) await fetch(location);
    return 'opened';
  },
  ask: (_question, signal) =>
    new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason))),
  tell: (event) => console.error(`# ${event.type} ${event.message ?? ''}`),
};

/** What a user would write into "auth" for each scenario. */
const AUTH = {
  'auth/basic-cimd': { clientMetadataUrl: 'https://conformance-test.local/client-metadata.json' },
  'auth/pre-registration': { clientId: context.client_id, clientSecret: context.client_secret },
  'auth/client-credentials-jwt': {
    grant: 'client_credentials',
    clientId: context.client_id,
    privateKey: context.private_key_pem,
    signingAlg: context.signing_algorithm,
  },
  'auth/client-credentials-basic': {
    grant: 'client_credentials',
    clientId: context.client_id,
    clientSecret: context.client_secret,
  },
  'auth/wif-jwt-bearer': { grant: 'jwt_bearer', clientId: context.client_id, assertion: context.valid_jwt },
  'auth/enterprise-managed-authorization': enterprise(),
  'auth/cross-app-access-complete-flow': enterprise(),
};

function enterprise() {
  return {
    grant: 'enterprise_managed',
    clientId: context.client_id,
    clientSecret: context.client_secret,
    idp: {
      issuer: context.idp_issuer,
      tokenEndpoint: context.idp_token_endpoint,
      clientId: context.idp_client_id,
      idToken: context.idp_id_token,
    },
  };
}

const EXAMPLES = { number: 1, integer: 1, boolean: true, object: {}, array: [], string: 'x' };

const auth = scenario.startsWith('auth/') ? { auth: { method: 'oauth', callbackPort: 0, ...AUTH[scenario] } } : {};
const bridged = process.argv.includes('--bridge');
const folder = await mkdtemp(join(tmpdir(), 'conformance-'));
const servers = { server: { url, ...auth } };
const app = await createCountersign({
  plugins: [oauth, streamableHttp],
  servers,
  interaction: person,
  ...(bridged ? { store: fileStore({ directory: join(folder, 'store') }) } : {}),
  log: { debug: (line) => console.error(`# ${line}`), warn: (line) => console.error(`# ${line}`) },
});
try {
  await (wire === '2026-07-28' ? newWire() : sdk());
} finally {
  await app.close();
  await rm(folder, { recursive: true, force: true });
}

/** How to start a bridge to the server, once somebody has signed in where that is needed. */
async function bridge() {
  const config = join(folder, 'config.json');
  await writeFile(config, JSON.stringify({ mcpServers: servers }));
  if (needsPerson()) await app.login('server');
  return {
    command: process.execPath,
    args: [
      fileURLToPath(import.meta.resolve('countersign/package.json')).replace('package.json', 'bin/countersign.js'),
      'bridge',
      'server',
      '--config',
      config,
      '--debug',
    ],
    env: { ...process.env, COUNTERSIGN_STORE: join(folder, 'store') },
  };
}

/** Does the work, and where the bridge says that a sign-in is needed, signs in and does it again. */
async function signedIn(work) {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (!bridged || tries > 3 || error.data?.code !== 'LOGIN_REQUIRED') throw error;
      await app.login('server');
    }
  }
}

function needsPerson() {
  return auth.auth !== undefined && auth.auth.grant === undefined;
}

/** The revisions with a session: SDK v1 over Countersign's transport. */
async function sdk() {
  const client = new Client(
    { name: 'countersign-conformance', version: '0.1.0' },
    { capabilities: { elicitation: { form: { applyDefaults: true } } } },
  );
  client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept', content: {} }));
  await client.connect(bridged ? new StdioClientTransport(await bridge()) : await app.transport('server'));
  const { tools } = await signedIn(() => client.listTools());
  for (const tool of tools)
    await signedIn(() =>
      client.request(
        { method: 'tools/call', params: { name: tool.name, arguments: argumentsOf(tool, tools) } },
        CallToolResultSchema,
      ),
    );
  await client.close();
}

/** Arguments that the suite's tools expect; the echo gets the schema of the tool beside it. */
function argumentsOf({ name, inputSchema }, tools) {
  const call = context.toolCalls?.find((one) => one.name === name);
  if (call) return call.arguments;
  if (name === 'add_numbers') return { a: 5, b: 3 };
  if (name === 'json_schema_echo') return { schema: tools.find((one) => one.name !== name)?.inputSchema };
  const { properties = {}, required = [] } = inputSchema;
  return Object.fromEntries(required.map((key) => [key, EXAMPLES[properties[key]?.type] ?? 'x']));
}

/** 2026-07-28 is spoken by SDK v2 only: it gets Countersign's fetch, or the bridge. */
async function newWire() {
  const { StreamableHTTPClientTransport } = await import('@modelcontextprotocol/client');
  const { StdioClientTransport: Stdio } = await import('@modelcontextprotocol/client/stdio');
  const { runOnNewWire } = await import('./new-wire.mjs');
  const transport = bridged
    ? new Stdio(await bridge())
    : new StreamableHTTPClientTransport(new URL(url), { fetch: app.fetch('server') });
  await runOnNewWire(transport, scenario, argumentsOf, signedIn);
}
