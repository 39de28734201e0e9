import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cost, summary } from '../measure.mjs';
import { startBridge } from '../programs/bridge-client.mjs';
import { countersign } from '../programs/paths.mjs';

const path = (/** @type {string} */ relative) => fileURLToPath(new URL(relative, import.meta.url));

/** Calls: result, how many at a time, how many; and how many go before them, for V8 to compile: a bridge lives for days. */
const CALLS = /** @type {const} */ ([
  ['1 KB', 1, 2000, 4000],
  ['1 KB', 16, 2000, 2000],
  ['1 KB', 64, 4000, 4000],
  ['1 KB', 256, 4000, 4000],
  ['100 KB', 1, 500, 1500],
  ['5 MB', 1, 24, 8],
]);
const NOTIFICATIONS = 10_000;

/**
 * What stands between a stdio client and a remote server: a cold start, calls of several sizes and widths, notifications, memory. Linux only (/proc).
 * `long`: how many calls the memory after a long life is measured behind; none by default.
 */
export default async function bridge({ rounds = 5, long = Number(process.env['BENCH_LONG'] ?? 0) } = {}) {
  const server = spawn(process.execPath, [path('../programs/bridge-server.mjs')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const [port] = await once(server.stdout, 'data');
  const url = `http://127.0.0.1:${String(port).trim()}/mcp`;
  const home = mkdtempSync(join(tmpdir(), 'countersign-bench-'));
  const env = { HOME: home, MCP_REMOTE_CONFIG_DIR: join(home, 'mcp-auth') };
  const contestants = {
    countersign: [countersign, 'bridge', url],
    'mcp-remote': [path('../node_modules/mcp-remote/dist/proxy.js'), url, '--allow-http'],
    supergateway: [path('../node_modules/supergateway/dist/index.js'), '--streamableHttp', url, '--logLevel', 'none'],
    'SDK relay': [path('../programs/sdk-relay.mjs'), url],
  };
  /** @type {Map<string, Map<string, number[]>>} Measure, contestant, a value for each round. */
  const values = new Map();
  const note = (/** @type {string} */ measure, /** @type {string} */ who, /** @type {number} */ value) => {
    const of = values.get(measure) ?? new Map();
    values.set(measure, of);
    of.set(who, [...(of.get(who) ?? []), value]);
  };
  try {
    for (let round = 0; round < rounds; round++) {
      const floor = await cost([process.execPath, '-e', '0']);
      note('start, wall ms', 'node -e 0', floor.wall);
      note('start, CPU ms', 'node -e 0', floor.cpu);
      for (const [who, command] of Object.entries(contestants)) await measure(who, command);
    }
  } finally {
    server.stdin.end();
    rmSync(home, { recursive: true, force: true });
  }

  /** @param {string} who @param {string[]} command */
  async function measure(who, command) {
    const one = await startBridge(command, env);
    note('start, wall ms', who, one.start.wall);
    note('start, CPU ms', who, one.start.cpu);
    note('start, peak RSS MB', who, one.start.peak);
    const young = await one.calls('1 KB', 1, 1000);
    note('the first 1000 calls of 1 KB, CPU us a call', who, young.cpu);
    for (const [name, width, count, before] of CALLS) {
      await one.calls(name, width, before);
      const { cpu, wall } = await one.calls(name, width, count);
      note(`${name}, ${width} at a time, CPU us a call`, who, (cpu * 1000) / count);
      note(`${name}, ${width} at a time, calls/s`, who, (count * 1000) / wall);
    }
    await one.end();

    // supergateway drops what is not an answer.
    if (who !== 'supergateway') {
      const notified = await startBridge(command, env);
      const { cpu } = await notified.calls('notify', 1, 1, { count: NOTIFICATIONS });
      note(`${NOTIFICATIONS} notifications, CPU us each`, who, (cpu * 1000) / NOTIFICATIONS);
      note(`${NOTIFICATIONS} notifications, lost`, who, NOTIFICATIONS - notified.notifications());
      await notified.end();
    }
    const wide = await startBridge(command, env);
    await wide.calls('5 MB', 16, 16);
    note('5 MB, 16 at a time, peak RSS MB', who, wide.peak());
    await wide.end();
    if (long > 0) {
      const old = await startBridge(command, env);
      await old.calls('1 KB', 64, long);
      note(`after ${long} calls, RSS MB`, who, old.rss());
      await old.end();
    }
  }

  const of = (/** @type {string} */ measure, /** @type {string} */ who) => values.get(measure)?.get(who) ?? [];
  const ratio = (/** @type {string} */ measure, other = 'mcp-remote', one = 'countersign') =>
    summary(of(measure, one).map((value, round) => value / (of(measure, other)[round] ?? NaN)));
  /** @param {string} name @param {ReturnType<typeof summary>} value @param {number} limit */
  const limit = (name, value, limit) => ({ name, value, limit });
  return {
    title: 'Bridge',
    rows: [],
    table: [...values].map(([measure, by]) => ({
      measure,
      values: Object.fromEntries([...by].map(([who, all]) => [who, summary(all)])),
    })),
    ratios: [
      limit('start, wall, to node -e 0', ratio('start, wall ms', 'node -e 0'), 1.5),
      limit('start, CPU', ratio('start, CPU ms'), 0.25),
      limit('start, peak RSS', ratio('start, peak RSS MB'), 0.5),
      ...CALLS.map(([name, width]) =>
        limit(`${name}, ${width} at a time, CPU`, ratio(`${name}, ${width} at a time, CPU us a call`), 0.3),
      ),
      limit('1 KB, 64 at a time, time', ratio('1 KB, 64 at a time, calls/s', 'countersign', 'mcp-remote'), 0.25),
      limit('5 MB, 16 at a time, peak RSS', ratio('5 MB, 16 at a time, peak RSS MB'), 0.4),
      limit(`${NOTIFICATIONS} notifications, CPU`, ratio(`${NOTIFICATIONS} notifications, CPU us each`), 0.15),
      ...(long > 0 ? [limit(`after ${long} calls, RSS`, ratio(`after ${long} calls, RSS MB`), 0.4)] : []),
    ],
  };
}
