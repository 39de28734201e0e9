// Starts MCP servers behind different authentication, and shows what the command line does with them. `npm start` at the root runs it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { parseEnv } from 'node:util';
import { closeEverything } from '@countersign/test-servers';
import { signInAt } from '@countersign/test-servers/oidc';
import { startServers } from './servers.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const countersign = fileURLToPath(new URL('../../packages/cli/bin/countersign.js', import.meta.url));
const terminal = process.stdin.isTTY && process.stdout.isTTY;

const temporary = await mkdtemp(join(tmpdir(), 'countersign-quickstart-'));
process.on('exit', () => rmSync(temporary, { recursive: true, force: true }));
let shell = false;
process.on('SIGINT', () => shell || process.exit(130)); // in the shell Ctrl-C is the shell's, which shares this terminal
process.on('SIGTERM', () => process.exit(143));

const config = JSON.parse(await readFile(join(here, 'countersign.json'), 'utf8'));
const asWritten = JSON.stringify(config);
const servers = await startServers(config.mcpServers, parseEnv(await readFile(join(here, '.env'), 'utf8')));

let configFile = 'countersign.json';
if (JSON.stringify(config) !== asWritten) {
  configFile = join(temporary, 'countersign.json');
  await writeFile(configFile, JSON.stringify(config, undefined, 2));
  console.log('A port of countersign.json is taken; this run uses a copy with free ones.');
}

try {
  await signIn('oauth');
  await run('connections');
  let waiting = Promise.resolve('');
  for (const name of Object.keys(config.mcpServers)) {
    const next = look(name);
    process.stdout.write(await waiting);
    waiting = next;
  }
  process.stdout.write(await waiting);
  console.log();
  for (const [name, { requests }] of servers.guards) {
    const accepted = requests.filter(({ refused }) => !refused).length;
    console.log(`${name}: its guard saw ${requests.length} requests and let ${accepted} through.`);
  }
  if (terminal) {
    shell = true;
    await run();
  }
} finally {
  await servers.close();
  await closeEverything();
}

/** Runs the command line, as a person would in this folder. @param {...string} args */
async function run(...args) {
  console.log(`\n${shown(args)}`);
  await ended(start(args, 'inherit'));
}

/** Calls a tool of a server, and shows the headers that it is sent. @param {string} name */
async function look(name) {
  const call = output('call', name, 'echo', `message=Hello, ${name}`);
  return (await Promise.all([call, servers.guards.has(name) ? output('headers', name) : ''])).join('');
}

/** Runs the command line, and answers what it would have shown. @param {...string} args */
async function output(...args) {
  const child = start(args, ['ignore', 'pipe', 'inherit']);
  const [printed] = await Promise.all([
    text(/** @type {import('node:stream').Readable} */ (child.stdout)),
    ended(child),
  ]);
  return `\n${shown(args)}\n${printed}`;
}

/** Signs in, with a script in the place of the person at the browser: it follows the URL that the command prints. @param {string} name */
async function signIn(name) {
  const args = ['login', name, '--no-browser'];
  console.log(`\n${shown(args)}`);
  const child = start(args, ['ignore', 'pipe', 'inherit']);
  const done = ended(child);
  let visit;
  for await (const line of createInterface(/** @type {import('node:stream').Readable} */ (child.stdout))) {
    console.log(line);
    if (URL.canParse(line)) visit ??= signInAt(new URL(line));
  }
  await visit;
  await done;
}

/** @param {string[]} args @param {import('node:child_process').StdioOptions} stdio */
function start(args, stdio) {
  const command = [countersign, '--config', configFile, '--env-file', join(here, '.env'), ...args];
  return spawn(process.execPath, command, { cwd: here, stdio, env: { ...ownEnvironment(), ...servers.env } });
}

/** The command as a person would type it. @param {string[]} args */
function shown(args) {
  return ['$ countersign --config', configFile, ...args.map((arg) => (/[\s,]/.test(arg) ? `'${arg}'` : arg))].join(' ');
}

/** Waits for the end of a command; one that fails fails the whole. @param {import('node:child_process').ChildProcess} child */
async function ended(child) {
  const [code] = await once(child, 'close');
  if (code === 0) return;
  console.error(`That ended with ${code}.`);
  process.exitCode = 1;
}

/** The environment without a developer's real credentials and proxies, and with other places for what is stored: the example brings its own. */
function ownEnvironment() {
  const real = /^(AWS|GOOGLE|GCE|GCLOUD|CLOUDSDK|GH|GITHUB|COUNTERSIGN)_|_PROXY$/i;
  return {
    ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !real.test(name))),
    COUNTERSIGN_STORE: join(temporary, 'store'),
    CLOUDSDK_CONFIG: temporary,
    GH_CONFIG_DIR: temporary,
  };
}
