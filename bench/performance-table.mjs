#!/usr/bin/env node
// node performance-table.mjs RESULTS.json: writes the bridge's table into docs/performance.md, from what `run.mjs bridge --json RESULTS.json` measured.
import { readFileSync, writeFileSync } from 'node:fs';

const { node, results } = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8'));
const { table, ratios } = results.find((/** @type {{ suite: string }} */ { suite }) => suite === 'bridge');
const columns = ['node -e 0', 'countersign', 'SDK relay', 'supergateway', 'mcp-remote'];
const number = (/** @type {{ median: number } | undefined} */ value) =>
  value === undefined ? '' : Math.round(value.median).toLocaleString('en-US');
const rows = table.map(
  (/** @type {{ measure: string, values: Record<string, { median: number }> }} */ { measure, values }) =>
    `| ${measure} | ${columns.map((name) => number(values[name])).join(' | ')} |`,
);
const kept = ratios.map(
  (
    /** @type {{ name: string, value: { low: number, median: number, high: number }, limit: number }} */ {
      name,
      value,
      limit,
    },
  ) => `| ${name} | ${value.median.toFixed(2)} (${value.low.toFixed(2)}–${value.high.toFixed(2)}) | ${limit} |`,
);
const text = [
  `Medians, on Node ${node.slice(1)}:`,
  '',
  `| | ${columns.join(' | ')} |`,
  `|---|${columns.map(() => '--:|').join('')}`,
  ...rows,
  '',
  'Ratios to mcp-remote unless said otherwise, each within its own round: median (quartiles), and the limit that we keep.',
  '',
  '| | ratio | limit |',
  '|---|--:|--:|',
  ...kept,
].join('\n');
const page = new URL('../docs/performance.md', import.meta.url);
const before = readFileSync(page, 'utf8');
writeFileSync(
  page,
  before.replace(/(<!-- bridge -->\n)[^]*?(<!-- \/bridge -->)/, (_, start, end) => `${start}\n${text}\n\n${end}`),
);
