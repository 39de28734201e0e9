import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';

/**
 * Runs a command to its end and answers what it cost: CPU (user and system, its children included) and wall time, in milliseconds.
 * Throws when it fails, since a failure is quick and would look good.
 * @param {string[]} command
 * @param {{ env?: Record<string, string | undefined>, expect?: string }} [options] `expect` must be in its output.
 */
export async function cost(command, { env, expect } = {}) {
  // bash's own clock: Node can't ask what a child that has ended used.
  const timed = 'TIMEFORMAT="%3U %3S %3R"; time "$@" 2>&1';
  const child = spawn('bash', ['-c', timed, 'bash', ...command], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, LC_ALL: 'C', ...env },
  });
  const [stdout, stderr, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise((resolve) => child.on('close', resolve)),
  ]);
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}: ${stdout}`);
  if (expect !== undefined && !stdout.includes(expect))
    throw new Error(`${command.join(' ')} did not answer ${expect}: ${stdout}`);
  const [user = 0, system = 0, wall = 0] = (stderr.trim().split('\n').at(-1) ?? '')
    .split(' ')
    .map((seconds) => Number(seconds) * 1000);
  return { cpu: user + system, wall };
}

/**
 * @typedef {{ cpu: number, wall: number }} Cost
 * @typedef {{ name: string, run: () => Promise<Cost> }} Contestant
 *
 * Runs the contestants in turn, `rounds` times after one that isn't counted, and compares each with the others of its own round: a machine that is
 * busy for a while slows them all.
 * @param {{ contestants: Contestant[], rounds?: number }} options
 */
export async function compare({ contestants, rounds = 11 }) {
  /** @type {Map<string, Cost[]>} */
  const costs = new Map(contestants.map(({ name }) => [name, []]));
  for (let round = -1; round < rounds; round++) {
    for (const { name, run } of contestants) {
      const spent = await run();
      if (round >= 0) costs.get(name)?.push(spent);
    }
  }
  const of = (/** @type {string} */ name) => costs.get(name) ?? [];
  return {
    rows: contestants.map(({ name }) => ({
      name,
      cpu: summary(of(name).map(({ cpu }) => cpu)),
      wall: summary(of(name).map(({ wall }) => wall)),
    })),
    /** The ratio of one contestant to another, within each round. @param {string} one @param {string} other @param {'cpu' | 'wall'} [by] */
    ratio: (one, other, by = 'cpu') =>
      summary(of(one).map((spent, round) => spent[by] / (of(other)[round]?.[by] ?? NaN))),
  };
}

/** @typedef {{ low: number, median: number, high: number }} Summary Median and quartiles. */

/** @param {number[]} values @returns {Summary} */
export function summary(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (/** @type {number} */ share) => {
    const place = share * (sorted.length - 1);
    const low = sorted[Math.floor(place)] ?? NaN;
    return low + ((sorted[Math.ceil(place)] ?? NaN) - low) * (place % 1);
  };
  return { low: at(0.25), median: at(0.5), high: at(0.75) };
}
