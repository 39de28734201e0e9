import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { buildSync } from 'esbuild';
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { fileStore } from '../src/index.js';

// The full run of 500 kills: COUNTERSIGN_KILLS=500.
const KILLS = Number(process.env['COUNTERSIGN_KILLS'] ?? 40);
const SLOW = { heartbeat: 1000, stale: 5000, wait: 55_000 };
const FAST = { heartbeat: 100, stale: 400, wait: 20_000 };
const here = fileURLToPath(new URL('.', import.meta.url));
let bundle: string;
let directory: string;
const running = new Set<ChildProcessByStdio<Writable, Readable, null>>();

beforeAll(async () => {
  bundle = join(await mkdtemp(join(tmpdir(), 'file-store-')), 'store.mjs');
  buildSync({
    entryPoints: [join(here, '../src/file-store.ts')],
    bundle: true,
    format: 'esm',
    platform: 'node',
    outfile: bundle,
  });
});
afterAll(() => rm(dirname(bundle), { recursive: true, force: true }));
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'file-store-'));
});
afterEach(async () => {
  for (const child of running) child.kill('SIGKILL');
  await rm(directory, { recursive: true, force: true });
});

function start(lock: typeof FAST, ...deed: string[]) {
  const child = spawn(
    process.execPath,
    [join(here, 'store-process.mjs'), bundle, directory, JSON.stringify(lock), ...deed],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  running.add(child);
  const ended = once(child, 'exit').then(([code]) => (running.delete(child), code as number | null));
  const lines: string[] = [];
  const reader = createInterface(child.stdout).on('line', (line) => lines.push(line));
  const line = (): Promise<string> => once(reader, 'line').then(([text]) => text as string);
  return { child, ended, lines, line, closed: once(reader, 'close') };
}

test('loses no update of twenty processes that update one key 200 times each', async () => {
  const codes = await Promise.all(Array.from({ length: 20 }, () => start(SLOW, 'count', 'n', '200').ended));
  expect(codes).toEqual(Array<number>(20).fill(0));
  expect(await fileStore({ directory }).get('n')).toBe('4000');
  expect(await readdir(directory)).toEqual(['n.json']);
}, 120_000);

test(
  `never tears or loses a record, when its writers are killed ${KILLS} times, and sweeps what they left`,
  async () => {
    const store = fileStore({ directory, lock: FAST });
    let kills = 0;
    let acknowledged = 0;
    const killer = async (): Promise<void> => {
      while (kills < KILLS) {
        kills++;
        const { child, ended, lines, line, closed } = start(FAST, 'forever', 'n');
        await line();
        await delay(Math.random() * 20);
        child.kill('SIGKILL');
        expect(await ended).toBeNull(); // By the signal, not by an error of its own.
        await closed;
        acknowledged = Math.max(acknowledged, ...lines.map(Number));
        expect(Number(await store.get('n'))).toBeGreaterThanOrEqual(acknowledged);
      }
    };
    await Promise.all([killer(), killer()]);
    const last = Number(await store.update('n', async (current) => String(Number(current) + 1)));
    expect(last).toBeGreaterThan(acknowledged);
    expect(await readdir(directory)).toEqual(['n.json']);
  },
  60_000 + KILLS * 2000,
);

test('gives LOCK_LOST to a holder that was stopped for too long and continued, and keeps what the next one wrote', async () => {
  const { child, ended, line } = start(FAST, 'hold', 'n');
  expect(await line()).toBe('holding');
  child.kill('SIGSTOP');
  const next = fileStore({ directory, lock: FAST });
  expect(await next.update('n', async () => 'next')).toBe('next');
  child.kill('SIGCONT');
  const answer = line();
  child.stdin.write('go on\n');
  expect(await answer).toBe('LOCK_LOST');
  await ended;
  expect(await next.get('n')).toBe('next');
  expect(await readdir(directory)).toEqual(['n.json']);
}, 20_000);

test('keeps the lock of a holder that is slow and alive', async () => {
  const { child, ended, line } = start(FAST, 'hold', 'n');
  expect(await line()).toBe('holding');
  const seen: (string | undefined)[] = [];
  const next = fileStore({ directory, lock: FAST }).update('n', async (current) => (seen.push(current), 'next'));
  await delay(FAST.stale * 3);
  expect(seen).toEqual([]);
  const answer = line();
  child.stdin.write('go on\n');
  expect(await answer).toBe('stored late');
  await ended;
  await next;
  expect(seen).toEqual(['late']);
}, 20_000);

test('frees the lock of a process that exits in the middle of a change', async () => {
  expect(await start(SLOW, 'exit', 'n').ended).toBe(0);
  expect(await readdir(directory)).toEqual([]);
});
