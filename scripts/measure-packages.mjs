// Writes docs/packages.md: what each package costs, installed alone with core from its tarball. Run it on a quiet machine: `node scripts/measure-packages.mjs`.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const work = mkdtempSync(join(tmpdir(), 'countersign-measure-'));
const RUNS = 7;

const manifests = readdirSync(join(root, 'packages')).map((folder) => ({
  folder,
  ...JSON.parse(readFileSync(join(root, 'packages', folder, 'package.json'), 'utf8')),
}));
const tarballs = new Map(
  manifests.map(({ folder, name }) => {
    const [{ filename }] = JSON.parse(
      npm(['pack', '--json', '--ignore-scripts', '--pack-destination', work], join(root, 'packages', folder)),
    );
    return [name, join(work, filename)];
  }),
);
const floor = importTime('');
const rows = manifests
  .filter(({ exports }) => exports?.['.'])
  .map(({ name, folder }) => {
    const project = join(work, folder);
    mkdirSync(project);
    writeFileSync(join(project, 'package.json'), '{ "private": true, "type": "module" }');
    npm(
      ['install', '--no-audit', '--no-fund', ...new Set([tarballs.get('@countersign/core'), tarballs.get(name)])],
      project,
    );
    const modules = join(project, 'node_modules');
    const tree = JSON.parse(npm(['ls', '--all', '--parseable=false', '--json'], project));
    return `| [\`${name}\`](../packages/${folder}) | ${(sizeOf(modules) / 1e6).toFixed(1)} | ${countOf(tree) - (name === '@countersign/core' ? 1 : 2)} | ${(importTime(`await import('${name}')`, project) - floor).toFixed(0)} |`;
  });

writeFileSync(
  join(root, 'docs/packages.md'),
  `# What a package costs

Each package installed alone with \`@countersign/core\` from its tarball, into an empty project, on Node ${process.versions.node}: megabytes on disk (core and
all dependencies included), packages that it brings besides itself and core, and the milliseconds of CPU that importing it costs above an empty
program (median of ${RUNS}). Heavy libraries are imported when they are first used, so they are not in the last column. Made by \`node scripts/measure-packages.mjs\`.

| package | MB | packages | import, ms CPU |
|---|---|---|---|
${rows.join('\n')}
`,
);
rmSync(work, { recursive: true });

/** Milliseconds of CPU of a program with this text. */
function importTime(text, cwd = work) {
  const program = `${text};\nconst { user, system } = process.cpuUsage();\nprocess.stdout.write(String((user + system) / 1000));`;
  const times = Array.from({ length: RUNS }, () =>
    Number(execFileSync(process.execPath, ['--input-type=module', '--eval', program], { cwd, encoding: 'utf8' })),
  );
  return times.sort((a, b) => a - b)[Math.floor(RUNS / 2)];
}

function countOf(tree) {
  const names = new Set();
  const walk = ({ dependencies = {} }) => {
    for (const [name, child] of Object.entries(dependencies)) {
      names.add(`${name}@${child.version}`);
      walk(child);
    }
  };
  walk(tree);
  return names.size;
}

function sizeOf(path) {
  const status = statSync(path, { throwIfNoEntry: false });
  if (!status?.isDirectory()) return status?.size ?? 0;
  return readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0);
}

function npm(args, cwd) {
  return execFileSync('npm', args, {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    shell: process.platform === 'win32',
    maxBuffer: 64 * 1024 * 1024,
  });
}
