// Rehearses a release on a registry of this machine: `lerna version`, `lerna publish`, then a stranger's way by what was published: scaffolds a plugin by
// `npm create`, tests and packs it, and calls a real server through it. Nothing leaves the machine. Prints `N passed, N failed`.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { closeEverything, everything } from '@countersign/test-servers';

const execute = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const here = fileURLToPath(new URL('.', import.meta.url));
const work = await mkdtemp(join(tmpdir(), 'countersign-release-'));
const upstream = (await run('npm', ['config', 'get', 'registry'], root)).trim();
const port = await freePort();
const registry = `http://127.0.0.1:${port}/`;
let passed = 0;

const verdaccio = await startRegistry();
try {
  const clone = join(work, 'clone');
  await step('clones and installs', async () => {
    await run('git', ['clone', '--quiet', root, clone], work);
    await run('git', ['config', 'user.name', 'Release'], clone);
    await run('git', ['config', 'user.email', 'release@example.com'], clone);
    await run('npm', ['ci', '--no-audit', '--no-fund'], clone);
  });
  await step('lerna version', () =>
    run('npx', ['lerna', 'version', 'patch', '--yes', '--no-push', '--allow-branch', '*'], clone),
  );
  await step('lerna publish', async () => {
    await writeFile(join(clone, '.npmrc'), `registry=${registry}\n//127.0.0.1:${port}/:_authToken=rehearsal\n`);
    await run(
      'npx',
      [
        'lerna',
        'publish',
        'from-package',
        '--yes',
        '--registry',
        registry,
        '--no-verify-access',
        '--dist-tag',
        'latest',
      ],
      clone,
    );
  });

  const stranger = join(work, 'stranger');
  const plugin = join(stranger, 'my-auth');
  await mkdir(stranger);
  await writeFile(join(stranger, '.npmrc'), `registry=${registry}\n`);
  const started = Date.now();
  await step('npm create countersign-plugin my-auth', () =>
    run('npm', ['create', '--yes', 'countersign-plugin', 'my-auth'], stranger),
  );
  await writeFile(join(plugin, '.npmrc'), `registry=${registry}\n`);
  await step('its install', () => run('npm', ['install', '--no-audit', '--no-fund'], plugin));
  await step('its tests', () => run('npm', ['test'], plugin));
  await step('a call through it', async () => {
    const { url } = await everything();
    await run('npm', ['pack', '--pack-destination', stranger], plugin);
    await writeFile(join(stranger, 'package.json'), '{ "private": true }');
    await run(
      'npm',
      [
        'install',
        '--no-audit',
        '--no-fund',
        'countersign',
        '@countersign/core',
        './countersign-auth-my-auth-0.1.0.tgz',
      ],
      stranger,
    );
    await writeFile(
      join(stranger, 'mcp.json'),
      JSON.stringify({
        s: { url, auth: { method: 'my-auth', key: '${MY_AUTH_KEY}' } },
        countersign: { plugins: ['countersign-auth-my-auth'] },
      }),
    );
    const out = await run(
      'npx',
      ['countersign', '--config', 'mcp.json', 'call', 's', 'echo', 'message=published'],
      stranger,
      { MY_AUTH_KEY: 'key-of-the-stranger' },
    );
    if (!out.includes('published')) throw new Error(out);
  });
  console.log(`From npm create to the call: ${Math.round((Date.now() - started) / 1000)} s.`);
  console.log(`${passed} passed, 0 failed`);
} catch (error) {
  console.error(error);
  console.log(`${passed} passed, 1 failed`);
  process.exitCode = 1;
} finally {
  verdaccio.kill();
  await closeEverything();
  await rm(work, { recursive: true, force: true });
}

async function step(what, work) {
  await work();
  passed++;
  console.log(`ok ${what}`);
}

async function startRegistry() {
  await run('npm', ['install', '--no-audit', '--no-fund', '--no-package-lock'], here);
  const config = join(work, 'verdaccio.yaml');
  await writeFile(
    config,
    `storage: ${join(work, 'storage')}
uplinks: { upstream: { url: ${upstream}, maxage: 60m } }
packages:
  '@countersign/*': { access: $all, publish: $all }
  'countersign*': { access: $all, publish: $all }
  'create-countersign-plugin': { access: $all, publish: $all }
  '**': { access: $all, proxy: upstream }
max_body_size: 50mb
log: { type: stdout, format: json, level: http }
`,
  );
  const child = spawn(
    process.execPath,
    [join(here, 'node_modules/verdaccio/bin/verdaccio'), '--config', config, '--listen', `127.0.0.1:${port}`],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  for await (const line of createInterface({ input: child.stdout }))
    if (line.includes('http address') || line.includes(String(port))) break;
  child.stdout.resume();
  return child;
}

async function run(command, args, cwd, env = {}) {
  const inherited = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^npm_(?!config_cache)/i.test(name)),
  );
  try {
    return (
      await execute(command, args, {
        cwd,
        env: { ...inherited, ...env },
        maxBuffer: 64 * 1024 * 1024,
        shell: process.platform === 'win32',
      })
    ).stdout;
  } catch (error) {
    throw new Error(`${command} ${args.join(' ')}\n${error.stdout}\n${error.stderr}`, { cause: error });
  }
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port: free } = server.address();
  server.close();
  await once(server, 'close');
  return free;
}
