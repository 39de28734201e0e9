// Starts MCP servers behind different authentication, and shows what the command line does with them. `npm start` at the root runs it.
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseEnv } from 'node:util';
import { closeEverything } from '@countersign/test-servers';
import { startServers } from './servers.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const countersign = fileURLToPath(new URL('../../packages/cli/bin/countersign.js', import.meta.url));
const terminal = process.stdin.isTTY && process.stdout.isTTY;

const temporary = await mkdtemp(join(tmpdir(), 'countersign-quickstart-'));
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
  await run('connections');
  for (const name of Object.keys(config.mcpServers)) {
    await run('call', name, 'echo', `message=Hello, ${name}`);
    if (servers.guards.has(name)) await run('headers', name);
  }
  console.log();
  for (const [name, { requests }] of servers.guards) {
    console.log(
      `${name}: its guard let ${requests.filter(({ refused }) => !refused).length} of ${requests.length} requests through.`,
    );
  }
  if (terminal) await run();
} finally {
  await servers.close();
  await closeEverything();
  await rm(temporary, { recursive: true, force: true });
}

/** Runs the command line, as a person would in this folder. @param {...string} args */
async function run(...args) {
  console.log(
    `\n$ countersign --config ${configFile} ${args.map((arg) => (/[\s,]/.test(arg) ? `'${arg}'` : arg)).join(' ')}`,
  );
  const child = spawn(
    process.execPath,
    [countersign, '--config', configFile, '--env-file', join(here, '.env'), ...args],
    {
      cwd: here,
      stdio: 'inherit',
      env: { ...ownEnvironment(), ...servers.env },
    },
  );
  const code = await new Promise((resolve) => child.on('close', resolve));
  if (code !== 0) {
    console.error(`That ended with ${code}.`);
    process.exitCode = 1;
  }
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
