// Packs every published package and holds the tarball to publint, attw and our own rules: same README headings, no test files.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';

const root = fileURLToPath(new URL('..', import.meta.url));
const HEADINGS = ['What it is for', 'Install', 'Use', 'Options', 'Where the secret lives', 'Errors', 'License'];
const folder = mkdtempSync(join(tmpdir(), 'countersign-pack-'));
const problems = [];

for (const name of readdirSync(join(root, 'packages')).sort()) {
  const directory = join(root, 'packages', name);
  const manifest = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
  if (manifest.private) continue;
  const note = (problem) => problems.push(`${manifest.name}: ${problem}`);

  const [packed] = JSON.parse(
    run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], directory),
  );
  for (const { path } of packed.files)
    if (/^(?!template\/).*\.test\.|tsbuildinfo/.test(path)) note(`the tarball holds ${path}`);
  const { messages } = await publint({ pkgDir: directory, strict: true });
  for (const message of messages) note(formatMessage(message, manifest));
  if (manifest.exports?.['.']) {
    try {
      run(
        join(root, 'node_modules/.bin/attw'),
        [join(folder, packed.filename), '--profile', 'esm-only', '--format', 'ascii'],
        root,
      );
    } catch (error) {
      note(`attw\n${error.stdout}`);
    }
  }
  const readme = readFileSync(join(directory, 'README.md'), 'utf8');
  const headings = [...readme.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading);
  if (headings.join() !== HEADINGS.join())
    note(`README headings are ${headings.join(', ') || 'none'}; they should be ${HEADINGS.join(', ')}`);
  if (!readme.startsWith(`# ${manifest.name}\n`)) note("the README does not begin with the package's name");
}

rmSync(folder, { recursive: true });
if (problems.length > 0) {
  console.error(problems.join('\n'));
  process.exitCode = 1;
} else console.log('every package is well packed');

function run(command, args, cwd) {
  return execFileSync(command, args, {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    shell: process.platform === 'win32',
  });
}
