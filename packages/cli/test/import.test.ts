import { spawn } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { closeEverything, signInAt, startOidc, type Oidc } from '@countersign/test-servers';
import { createPlace, type Place } from './support/countersign.js';

jest.setTimeout(60_000); // Each test starts processes, on a machine that may be busy.

const mcpRemote = join(dirname(createRequire(import.meta.url).resolve('mcp-remote/package.json')), 'dist', 'client.js');

let oidc: Oidc;
let place: Place;
let folder: string;
let config: string;

beforeAll(async () => {
  oidc = await startOidc({ accessTokenTtl: 3600 });
  place = await createPlace();
  folder = join(place.folder, 'mcp-auth');
  config = await place.configure({
    orders: { url: oidc.resource, auth: { method: 'oauth' } },
    search: { url: `${oidc.resource}?other`, auth: { method: 'oauth' } },
    keyed: { url: oidc.resource, headers: { 'x-key': 'k' } },
  });
});
afterAll(async () => {
  await oidc.close();
  await closeEverything();
  await place.remove();
});

const countersign = (...words: string[]) =>
  place.run(['--config', config, ...words], { env: { MCP_REMOTE_CONFIG_DIR: folder } });

/** mcp-remote itself signs in, and keeps what it was given. */
async function signInWithMcpRemote(...flags: string[]): Promise<void> {
  const child = spawn(process.execPath, [mcpRemote, oidc.resource, ...flags], {
    env: { PATH: '/nowhere', HOME: place.folder, MCP_REMOTE_CONFIG_DIR: folder },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  let asked = false;
  for await (const chunk of child.stderr) {
    said += String(chunk);
    const url = /^(http:\S+[?&]client_id=\S+)$/m.exec(said)?.[1];
    if (!url || asked) continue;
    asked = true;
    await signInAt(new URL(url));
  }
}

async function tokenFiles(): Promise<string[]> {
  const names = await readdir(folder, { recursive: true });
  return names.filter((name) => name.includes('_tokens.json'));
}

test('takes what mcp-remote holds, once, and renews it as its own', async () => {
  await signInWithMcpRemote();
  const [file = ''] = await tokenFiles();
  const before = JSON.parse(await readFile(join(folder, file), 'utf8')) as {
    access_token: string;
    refresh_token: string;
  };

  const { code, json, stdout, stderr } = await countersign('import', 'mcp-remote', '--json');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(json).toMatchObject({
    servers: [
      { server: 'orders', taken: true, credential: { state: 'ready', refreshable: true } },
      { server: 'search', taken: false, reason: expect.stringContaining('no sign-in') },
    ],
  });
  expect(stdout).not.toContain(before.access_token);
  expect(stdout).not.toContain(before.refresh_token);
  expect(await tokenFiles()).toEqual([`${file}.imported`]);

  expect(await countersign('connections', 'orders')).toMatchObject({ code: 0 });
  oidc.revokeAccessTokens();
  expect(await countersign('connections', 'orders')).toMatchObject({ code: 0 });
  expect({ refreshes: oidc.refreshes, reuses: oidc.reuses }).toEqual({ refreshes: 1, reuses: 0 });

  expect(await countersign('import', 'mcp-remote', 'orders')).toMatchObject({
    code: 0,
    stdout: 'orders: nothing taken: it is signed in already\n',
  });
  await countersign('logout', 'orders');
  expect(await countersign('import', 'mcp-remote', 'orders')).toMatchObject({
    code: 3,
    stderr: expect.stringContaining('mcp-remote has no sign-in to'),
  });
});

test('finds what was kept under flags, for a URL without a configuration', async () => {
  await signInWithMcpRemote('--header', 'X-Team: ${TEAM}', '--authorize-param', 'audience=https://a.example');
  const words = ['import', 'mcp-remote', oidc.resource];
  const bare = await place.run(words, { env: { MCP_REMOTE_CONFIG_DIR: folder } });
  expect(bare).toMatchObject({ code: 3, stderr: expect.stringContaining('--header') });
  const flags = ['--header', 'X-Team: ${TEAM}', '--authorize-param', 'audience=https://a.example'];
  const taken = await place.run([...words, ...flags], { env: { MCP_REMOTE_CONFIG_DIR: folder } });
  expect(taken).toMatchObject({ code: 0, stderr: '' });
  expect(await place.run(['tools', oidc.resource])).toMatchObject({ code: 0 });
  await place.run(['logout', oidc.resource]);
});

test('a sign-in of its own stays, and the tokens of mcp-remote with it', async () => {
  await signInWithMcpRemote();
  const earlier = await tokenFiles();
  await countersign('import', 'mcp-remote', 'orders');
  expect(await tokenFiles()).toHaveLength(earlier.length); // those set aside before are still there
  await signInWithMcpRemote();
  const before = await tokenFiles();
  const { code, stdout } = await countersign('import', 'mcp-remote', 'orders');
  expect({ code, stdout }).toEqual({ code: 0, stdout: 'orders: nothing taken: it is signed in already\n' });
  expect(await tokenFiles()).toEqual(before);
  await countersign('logout', 'orders');
});

const signedIn = { access_token: 'canary-access', token_type: 'Bearer', refresh_token: 'canary-refresh' };
const client = { client_id: 'c' };

test.each([
  ['another issuer', { ...signedIn, issuer: 'https://elsewhere.example' }, client, 'another authorization server'],
  ['no issuer', { ...signedIn, issuer: undefined }, client, 'who issued them'],
  ['no client', signedIn, undefined, 'which client'],
  [
    'a client without its key',
    signedIn,
    { ...client, token_endpoint_auth_method: 'private_key_jwt' },
    'private_key_jwt',
  ],
  [
    'a client without its secret',
    signedIn,
    { ...client, token_endpoint_auth_method: 'client_secret_post' },
    'the means',
  ],
  ['an end without a refresh token', { ...signedIn, refresh_token: '', expires_at: 1 }, client, 'has ended'],
  ['a token that no header carries', { ...signedIn, access_token: 'canary\naccess' }, client, "can't carry"],
  ['a file that is no JSON', '{"access_token": "canary-access', client, 'has no sign-in'],
  ['a file without a token', { access_token: 7 }, client, 'has no sign-in'],
])('refuses %s, and leaves the file', async (_name, tokens, registered, message) => {
  const file = await plant(tokens, registered);
  const { code, stdout, stderr } = await countersign('import', 'mcp-remote', 'orders');
  expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
  expect(stderr).toContain(message);
  expect(stderr).not.toContain('canary');
  expect(await readFile(file, 'utf8')).toContain('access');
});

test.each([
  ['--header', 'X-Api-Key: canary-literal'],
  ['--authorize-param', 'client_secret=canary-literal'],
])('takes no secret on the command line: %s', async (...flag) => {
  const { code, stderr } = await countersign('import', 'mcp-remote', 'orders', ...flag);
  expect(code).toBe(2);
  expect(stderr).not.toContain('canary');
});

test('follows no link, and takes nothing from a server without OAuth or a program that it does not know', async () => {
  const file = await plant(signedIn, { client_id: 'c' });
  await symlink(
    file,
    join(dirname(file), `${createHash('md5').update(`${oidc.resource}?other`).digest('hex')}_tokens.json`),
  );
  expect(await countersign('import', 'mcp-remote', 'search')).toMatchObject({ code: 3 });
  expect(await countersign('import', 'mcp-remote', 'keyed')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('does not use OAuth'),
  });
  expect(await countersign('import', 'other')).toMatchObject({ code: 2 });
  expect(await countersign('import', 'mcp-remote', 'nobody')).toMatchObject({ code: 2 });
});

async function plant(tokens: unknown, client: unknown): Promise<string> {
  const directory = join(folder, 'mcp-remote-v1');
  await mkdir(directory, { recursive: true });
  const base = join(directory, createHash('md5').update(oidc.resource).digest('hex'));
  const kept = typeof tokens === 'string' ? tokens : JSON.stringify({ issuer: oidc.issuer, ...(tokens as object) });
  await writeFile(`${base}_tokens.json`, kept);
  await writeFile(`${base}_client_info.json`, client ? JSON.stringify(client) : '');
  await chmod(`${base}_tokens.json`, 0o600);
  return `${base}_tokens.json`;
}
