#!/usr/bin/env node
// node run.mjs [suite…] [--rounds N] [--json FILE]: runs the suites (all by default), prints medians with their quartiles, and ratios within one
// run beside their limits. Ends with 1 when a limit is missed.
import { readdirSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

/**
 * @typedef {import('./measure.mjs').Summary} Summary
 * @typedef {{ name: string, value: Summary, limit: number, goal?: number }} Ratio
 * @typedef {{ measure: string, values: Record<string, Summary> }} Measure Of several contestants.
 * @typedef {{ title: string, rows: { name: string, cpu: Summary, wall: Summary }[], table?: Measure[], ratios: Ratio[] }} Result
 */

const { values, positionals } = parseArgs({
  options: { rounds: { type: 'string' }, json: { type: 'string' } },
  allowPositionals: true,
});
const suites = readdirSync(new URL('./suites/', import.meta.url)).map((file) => file.replace(/\.mjs$/, ''));
/** @type {({ suite: string } & Result)[]} */
const results = [];
for (const suite of positionals.length > 0 ? positionals : suites) {
  const { default: run } = await import(`./suites/${suite}.mjs`);
  /** @type {Result} */
  const result = await run(values.rounds === undefined ? {} : { rounds: Number(values.rounds) });
  results.push({ suite, ...result });
  print(result);
}
if (values.json !== undefined)
  writeFileSync(values.json, JSON.stringify({ node: process.version, results }, undefined, 2));
if (results.some(({ ratios }) => ratios.some(({ value, limit }) => !(value.median <= limit)))) process.exitCode = 1;

/** @param {Result} result */
function print({ title, rows, table = [], ratios }) {
  const spread = (/** @type {Summary} */ { low, median, high }, digits = 0) =>
    `${median.toFixed(digits)} [${low.toFixed(digits)}–${high.toFixed(digits)}]`;
  const width = Math.max(...rows.map(({ name }) => name.length), ...ratios.map(({ name }) => name.length));
  console.log(`\n${title}`);
  for (const { name, cpu, wall } of rows) {
    console.log(`  ${name.padEnd(width)}  CPU ms ${spread(cpu).padEnd(18)} wall ms ${spread(wall)}`);
  }
  for (const { measure, values: by } of table) {
    console.log(`  ${measure}`);
    for (const [name, value] of Object.entries(by)) console.log(`    ${name.padEnd(width)}  ${spread(value)}`);
  }
  for (const { name, value, limit, goal } of ratios) {
    const verdict = !(value.median <= limit)
      ? 'MISSED'
      : goal === undefined || value.median <= goal
        ? 'met'
        : `met; the goal is ${goal}x`;
    console.log(`  ${name.padEnd(width)}  ${spread(value, 2)}x of at most ${limit}x: ${verdict}`);
  }
}
