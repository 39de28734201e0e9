import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { closeEverything, everything, signInAt, startOidc } from '@countersign/test-servers';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { build } from 'esbuild';
import { createPlace } from './support/countersign.js';

type Json = Record<string, unknown>;
type Handler = (message: Json, response: ServerResponse, request: IncomingMessage) => void;

jest.setTimeout(60_000);
const CANARY = 'canary-5up3r-s3cret';
let folder: string;
let bridge: string;
const open: (() => void)[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-bridge-'));
  bridge = join(folder, 'bridge.js');
  await build({
    absWorkingDir: fileURLToPath(new URL('..', import.meta.url)),
    entryPoints: ['src/bridge.ts'],
    outdir: folder,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    conditions: ['@countersign/source'],
    mainFields: ['module', 'main'],
    external: ['google-auth-library', '@octokit/*', '@aws-sdk/*'],
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    logLevel: 'error',
  });
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
});
afterEach(() => {
  for (const close of open.splice(0).reverse()) close();
});
afterAll(async () => {
  await closeEverything();
  rmSync(folder, { recursive: true });
});

interface Remote {
  readonly url: string;
  readonly heard: { method: string; message: Json; headers: IncomingMessage['headers']; size: number }[];
}

async function serve(answer?: Handler): Promise<Remote> {
  const heard: Remote['heard'] = [];
  const server: Server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const body = Buffer.concat(parts);
      const message = (body.length > 0 ? JSON.parse(body.toString()) : {}) as Json;
      heard.push({ method: request.method!, message, headers: request.headers, size: body.length });
      const { id, method } = message;
      if (request.method === 'DELETE') response.writeHead(200).end();
      else if (request.method === 'GET') response.writeHead(405).end();
      else if (method === 'initialize' && !answer?.length)
        reply(response, id, { protocolVersion: '2025-06-18', capabilities: {} });
      else if (method === 'hang') return;
      else if (id === undefined) response.writeHead(202).end();
      else if (answer) answer(message, response, request);
      else if (method === 'initialize') reply(response, id, { protocolVersion: '2025-06-18', capabilities: {} });
      else reply(response, id, { size: body.length });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  open.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`, heard };
}

const reply = (response: ServerResponse, id: unknown, result: unknown): void => {
  response
    .writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': 's1' })
    .end(JSON.stringify({ jsonrpc: '2.0', id, result }));
};

interface Run {
  readonly child: ChildProcess;
  readonly received: Json[];
  stderr(): string;
  send(message: Json | string): void;
  answer(id: unknown): Promise<Json>;
  /** The exit code, and the milliseconds since `since`. */
  exit(): Promise<{ code: number | null; at: number }>;
}

function run(words: string[], env: Record<string, string> = {}): Run {
  const child = spawn(process.execPath, [bridge, 'bridge', ...words], {
    cwd: folder,
    env: { PATH: process.env['PATH'], HOME: folder, COUNTERSIGN_STORE: join(folder, 'store'), ...env },
  });
  open.push(() => void child.kill('SIGKILL'));
  const received: Json[] = [];
  let stderr = '';
  let rest = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  child.stdin.on('error', () => undefined);
  const heard: (() => void)[] = [];
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop()!;
    received.push(...lines.map((line) => JSON.parse(line) as Json));
    for (const wake of heard.splice(0)) wake();
  });
  const exited = once(child, 'close').then(([code]) => ({ code: code as number | null, at: Date.now() }));
  return {
    child,
    received,
    stderr: () => stderr,
    send: (message) => void child.stdin.write(`${typeof message === 'string' ? message : JSON.stringify(message)}\n`),
    async answer(id) {
      for (;;) {
        const found = received.find((message) => message['id'] === id);
        if (found) return found;
        await new Promise<void>((resolve) => heard.push(resolve));
      }
    },
    exit: () => exited,
  };
}

const initialize = {
  jsonrpc: '2.0',
  id: 0,
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'client', version: '1' } },
};
const initialized = { jsonrpc: '2.0', method: 'notifications/initialized' };
const until = async (fits: () => boolean): Promise<void> => {
  while (!fits()) await new Promise((resolve) => setTimeout(resolve, 10));
};

describe('the end', () => {
  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('by %s answers what is pending, says DELETE and exits with %i', async (signal, code) => {
    const remote = await serve();
    const one = run([remote.url]);
    one.send(initialize);
    one.send(initialized);
    await one.answer(0);
    one.send({ jsonrpc: '2.0', id: 1, method: 'hang' });
    await until(() => remote.heard.some(({ message }) => message['method'] === 'hang'));
    const begun = Date.now();
    one.child.kill(signal);
    const { code: came, at } = await one.exit();
    expect(came).toBe(code);
    expect(at - begun).toBeLessThan(2000);
    expect(one.received.filter(({ id }) => id === 1)).toEqual([
      expect.objectContaining({ error: expect.objectContaining({ data: { code: 'ABORTED' } }) as unknown }),
    ]);
    expect(remote.heard.some(({ method }) => method === 'DELETE')).toBe(true);
    expect(one.stderr()).toBe('');
  });

  test('by the end of stdin exits with 0', async () => {
    const remote = await serve();
    const one = run([remote.url]);
    one.send(initialize);
    await one.answer(0);
    one.send({ jsonrpc: '2.0', id: 1, method: 'hang' });
    const begun = Date.now();
    one.child.stdin!.end();
    const { code, at } = await one.exit();
    expect(code).toBe(0);
    expect(at - begun).toBeLessThan(2000);
    expect(one.received).toHaveLength(2);
    expect(remote.heard.some(({ method }) => method === 'DELETE')).toBe(true);
  });

  test('comes while initialize is pending', async () => {
    const remote = await serve((_, __, request) => void request);
    const one = run([remote.url]);
    one.send(initialize);
    await until(() => remote.heard.length > 0);
    const begun = Date.now();
    one.child.kill('SIGTERM');
    const { code, at } = await one.exit();
    expect(code).toBe(143);
    expect(at - begun).toBeLessThan(2000);
    expect(one.received).toHaveLength(1);
  });

  test('comes while a plugin hangs', async () => {
    writeFileSync(join(folder, 'hanging.mjs'), 'await new Promise((resolve) => setTimeout(resolve, 60_000));');
    const one = run(['http://127.0.0.1:1/', '--plugin', './hanging.mjs', '--debug']);
    await new Promise((resolve) => setTimeout(resolve, 500));
    const begun = Date.now();
    one.child.kill('SIGTERM');
    const { code, at } = await one.exit();
    expect(code).toBe(143);
    expect(at - begun).toBeLessThan(2300);
  });

  test('comes when the client has gone without a word', async () => {
    const remote = await serve();
    const script = `
      const { spawn } = require('node:child_process');
      const child = spawn(process.execPath, ${JSON.stringify([bridge, 'bridge', remote.url])}, { stdio: ['pipe', 'pipe', 'inherit'] });
      child.stdin.write(${JSON.stringify(`${JSON.stringify(initialize)}\n`)});
      child.stdout.once('data', () => console.log(child.pid));
    `;
    const parent = spawn(process.execPath, ['-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { PATH: process.env['PATH'], HOME: folder },
    });
    const [chunk] = (await once(parent.stdout, 'data')) as [Buffer];
    const pid = Number(chunk.toString());
    parent.kill('SIGKILL');
    await until(() => {
      try {
        process.kill(pid, 0);
        return false;
      } catch {
        return true;
      }
    });
    expect(remote.heard.some(({ method }) => method === 'DELETE')).toBe(true);
  });
});

describe('a credential', () => {
  test('in a header comes from the environment, and shows up nowhere else', async () => {
    const remote = await serve();
    const logFile = join(folder, 'bridge.log');
    for (const words of [['--debug'], ['--log-file', logFile], []]) {
      const one = run(
        [remote.url, '--header', 'Authorization: Bearer ${TOKEN}', '--header', 'X-Plain: yes', ...words],
        { TOKEN: CANARY },
      );
      one.send(initialize);
      await one.answer(0);
      one.child.stdin!.end();
      expect((await one.exit()).code).toBe(0);
      expect(remote.heard.at(-1)!.headers).toMatchObject({ authorization: `Bearer ${CANARY}`, 'x-plain': 'yes' });
      expect(one.stderr() + JSON.stringify(one.received)).not.toContain(CANARY);
      if (words.length === 0) expect(one.stderr()).toBe('');
    }
    expect(readFileSync(logFile, 'utf8')).not.toContain(CANARY);
    expect(readFileSync(logFile, 'utf8')).toContain('POST /mcp');
    expect(statSync(logFile).mode & 0o777).toBe(0o600);
  });

  test('whose variable is not set is an error of initialize, with nothing sent', async () => {
    const remote = await serve();
    const one = run([remote.url, '--header', 'X-Api-Key: ${NOPE}']);
    one.send(initialize);
    expect(await one.answer(0)).toMatchObject({ error: { data: { code: 'UNRESOLVED_VARIABLE' } } });
    expect(remote.heard).toHaveLength(0);
  });

  test.each([
    'Authorization: Bearer',
    'X-Api-Key:',
    'cookie:',
    'proxy-authorization: Basic',
    'x-session-token:',
    'X-Api-Key: ${NOPE:-}',
  ])('written out after %s is refused with exit 2', async (start) => {
    const remote = await serve();
    const one = run([remote.url, '--header', `${start} ${CANARY}`]);
    expect((await one.exit()).code).toBe(2);
    expect(one.stderr()).toContain("--header '");
    expect(one.stderr()).not.toContain(CANARY);
    expect(one.received).toEqual([]);
    expect(remote.heard).toHaveLength(0);
  });
});

test.each([
  ['no server', []],
  ['two servers', ['a', 'b']],
  ['an unknown option', ['http://127.0.0.1:1/', '--nope']],
  ['headers for a configured server', ['orders', '--header', 'X-A: ${B}']],
  ['an unknown transport', ['http://127.0.0.1:1/', '--transport', 'carrier-pigeon']],
  ['a name that no configuration has', ['nope', '--config', 'servers.json']],
  ['a server that is a command', ['local', '--config', 'servers.json']],
  ['a configuration that was not named', ['orders']],
])('%s is exit 2, and stdout stays empty', async (_, words) => {
  writeFileSync(join(folder, 'servers.json'), JSON.stringify({ mcpServers: { local: { command: 'true' } } }));
  const one = run(words);
  expect((await one.exit()).code).toBe(2);
  expect(one.stderr()).toMatch(/^error .+\n {2}.+\n$/);
  expect(one.received).toEqual([]);
});

test('a configured server is reached by its name, with its headers and deadline', async () => {
  const remote = await serve();
  writeFileSync(
    join(folder, 'own.json'),
    JSON.stringify({ orders: { url: remote.url, timeout: 1, headers: { 'X-Key': '${KEY}' } } }),
  );
  const one = run(['orders', '--config', 'own.json'], { KEY: CANARY });
  one.send(initialize);
  one.send(initialized);
  await one.answer(0);
  expect(remote.heard[0]!.headers['x-key']).toBe(CANARY);
  one.send({ jsonrpc: '2.0', id: 1, method: 'hang' });
  expect(await one.answer(1)).toMatchObject({ error: { code: -32001, data: { code: 'TIMEOUT' } } });
});

test('stdout carries the protocol only, whatever a plugin writes there', async () => {
  const remote = await serve();
  writeFileSync(
    join(folder, 'noisy.mjs'),
    "console.log('noise one'); process.stdout.write('noise two\\n'); export default { name: 'noisy', apiVersion: 1, register() { console.log('noise three'); } };",
  );
  const one = run([remote.url, '--plugin', './noisy.mjs']);
  one.send(initialize);
  await one.answer(0);
  one.child.stdin!.end();
  await one.exit();
  expect(one.received).toHaveLength(1);
  expect(one.stderr()).toMatch(/noise one[^]*noise two[^]*noise three/);
});

test('30 MB pass both ways, and what is over the cap is an error with the bridge alive', async () => {
  const remote = await serve();
  const one = run([remote.url]);
  one.send(initialize);
  one.send(initialized);
  await one.answer(0);
  const text = 'x'.repeat(30_000_000);
  one.send({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { text } });
  expect(await one.answer(1)).toMatchObject({ result: { size: expect.any(Number) as unknown } });
  one.send({ jsonrpc: '2.0', id: 2, method: 'tools/call', params: { text: text + text.slice(0, 5_000_000) } });
  expect(await one.answer(2)).toMatchObject({ error: { data: { code: 'TOO_LARGE' } } });
  one.send({ jsonrpc: '2.0', id: 3, method: 'tools/list' });
  expect(await one.answer(3)).toHaveProperty('result');
});

test.each(['streamableHttp', 'sse'] as const)(
  'the SDK client does through the bridge all that server-everything offers over %s',
  async (transport) => {
    const remote = await everything(transport);
    const client = new Client(
      { name: 'client', version: '1' },
      { capabilities: { sampling: {}, elicitation: { form: {} }, roots: {} } },
    );
    client.setRequestHandler(CreateMessageRequestSchema, async () => ({
      role: 'assistant',
      model: 'm',
      content: { type: 'text', text: 'sampled-here' },
    }));
    client.setRequestHandler(ElicitRequestSchema, async () => ({
      action: 'accept',
      content: { name: 'elicited-here' },
    }));
    client.setRequestHandler(ListRootsRequestSchema, async () => ({
      roots: [{ uri: 'file:///root-here', name: 'root-here' }],
    }));
    const errors: Error[] = [];
    client.onerror = (error) => errors.push(error);
    const stdio = new StdioClientTransport({
      command: process.execPath,
      args: [bridge, 'bridge', remote.url.href],
      env: { HOME: folder, PATH: process.env['PATH']! },
    });
    await client.connect(stdio);
    open.push(() => void client.close());
    const call = async (name: string, words: Json = {}, options = {}): Promise<string> =>
      JSON.stringify(await client.callTool({ name, arguments: words }, undefined, options));

    const { tools } = await client.listTools();
    expect(tools.length).toBeGreaterThan(10);
    expect(await call('echo', { message: 'héllo' })).toContain('héllo');
    const progress: number[] = [];
    await call(
      'trigger-long-running-operation',
      { duration: 0.4, steps: 4 },
      { onprogress: (at: { progress: number }) => progress.push(at.progress) },
    );
    expect(progress).toEqual([1, 2, 3, 4]);
    expect(await call('trigger-sampling-request', { prompt: 'x' })).toContain('sampled-here');
    expect(await call('trigger-elicitation-request')).toContain('elicited-here');
    expect(await call('get-roots-list')).toContain('root-here');
    expect(await call('get-tiny-image')).toContain('image/png');
    const { resources } = await client.listResources();
    expect((await client.readResource({ uri: resources[0]!.uri })).contents).toHaveLength(1);
    await client.subscribeResource({ uri: resources[0]!.uri });
    await client.unsubscribeResource({ uri: resources[0]!.uri });
    expect((await client.listResourceTemplates()).resourceTemplates.length).toBeGreaterThan(0);
    const { prompts } = await client.listPrompts();
    expect((await client.getPrompt({ name: prompts[0]!.name })).messages.length).toBeGreaterThan(0);
    await client.setLoggingLevel('debug');
    await client.ping();
    const stop = new AbortController();
    const cancelled = call('trigger-long-running-operation', { duration: 20, steps: 2 }, { signal: stop.signal });
    stop.abort('enough');
    await expect(cancelled).rejects.toThrow('enough');
    expect(await call('get-sum', { a: 1, b: 2 })).toContain('3');
    await client.close();
    expect(errors).toEqual([]);
  },
);

test('ten bridges on one store wait for a sign-in, notice it, and refresh once', async () => {
  const place = await createPlace();
  const oidc = await startOidc({ accessTokenTtl: 4 });
  try {
    const url = oidc.resource;
    const store = { COUNTERSIGN_STORE: join(place.folder, 'store'), HOME: place.folder };
    const bridges = Array.from({ length: 10 }, () => run([url, '--auth', 'oauth'], store));
    for (const one of bridges) {
      one.send(initialize);
      one.send(initialized);
      expect(await one.answer(0)).toMatchObject({
        result: { instructions: expect.stringContaining(`countersign login ${url}`) as unknown },
      });
      one.send({ jsonrpc: '2.0', id: 'early', method: 'tools/call', params: { name: 'echo' } });
      expect(await one.answer('early')).toMatchObject({ error: { data: { code: 'LOGIN_REQUIRED' } } });
    }

    const login = place.start(['login', url, '--no-browser']);
    await login.shows('/auth?');
    await signInAt(new URL(/^https?:.*\/auth\?.*$/m.exec(login.text())![0]));
    expect(await login.ended).toMatchObject({ code: 0 });
    const listed = await Promise.all(
      bridges.map(async (one) => {
        await until(() => one.received.some(({ method }) => method === 'notifications/tools/list_changed'));
        one.send({ jsonrpc: '2.0', id: 'tools', method: 'tools/list' });
        return one.answer('tools');
      }),
    );
    for (const answer of listed) expect(JSON.stringify(answer)).toContain('"echo"');

    // Past the token's life, all at once.
    await new Promise((resolve) => setTimeout(resolve, 4500));
    const before = oidc.tokenRequests.filter(({ grant }) => grant === 'refresh_token').length;
    const echo = {
      jsonrpc: '2.0',
      id: 'late',
      method: 'tools/call',
      params: { name: 'echo', arguments: { message: 'again' } },
    };
    for (const one of bridges) one.send(echo);
    for (const one of bridges) expect(await one.answer('late')).toHaveProperty('result');
    expect(oidc.tokenRequests.filter(({ grant }) => grant === 'refresh_token').length - before).toBeLessThanOrEqual(2);
    expect(oidc.reuses).toBe(0);
    for (const one of bridges) expect(one.stderr()).toBe('');
  } finally {
    await oidc.close();
    await place.remove();
  }
});
