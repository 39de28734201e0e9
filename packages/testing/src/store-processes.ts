import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect } from './expectations.js';

interface Processes {
  readonly module: URL;
  readonly env: Readonly<Record<string, string>>;
  readonly key: string;
}

const OPEN = `
  const { default: create } = await import(process.argv[1]);
  const store = await create();
  const key = process.argv[2];`;

const COUNT = `${OPEN}
  for (let n = 0; n < Number(process.argv[3]); n++) await store.update(key, async (current) => String(Number(current ?? 0) + 1));
  await store.dispose?.();`;

const HOLD = `${OPEN}
  await store.update(key, () => {
    process.stdout.write('holding');
    return new Promise((done) => setTimeout(done, 60_000, 'late'));
  });`;

/** Runs `count` processes, each of which adds one to the key `updates` times. */
export async function inProcesses({
  count,
  updates,
  ...processes
}: Processes & { count: number; updates: number }): Promise<void> {
  const running = Array.from({ length: count }, () => start(COUNT, processes, String(updates)));
  await Promise.all(
    running.map(async ({ child, complaints }) => {
      const [code] = (await once(child, 'close')) as [number | null];
      expect(code === 0, `A process that updates the store ended with ${code}: ${complaints()}`);
    }),
  );
}

/** Runs a process that holds the key's lock, and kills it. */
export async function killHolder(processes: Processes): Promise<void> {
  const { child, complaints } = start(HOLD, processes);
  const ended = once(child, 'close');
  const held = await Promise.race([once(child.stdout, 'data').then(() => true), ended.then(() => false)]);
  child.kill('SIGKILL');
  await ended;
  expect(held, `A process that updates the store ended by itself: ${complaints()}`);
}

function start(program: string, { module, env, key }: Processes, ...rest: string[]) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', program, module.href, key, ...rest], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (text = (text + chunk).slice(-4000)));
  return { child, complaints: () => text.trim() };
}
