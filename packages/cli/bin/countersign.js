#!/usr/bin/env node
// Plain JavaScript, so that a start loads only what the command needs.
import process from 'node:process';
import { URL } from 'node:url';

const rest = process.argv.slice(2);

if (rest.length === 1 && (rest[0] === '--version' || rest[0] === '-V')) {
  const { readFileSync } = await import('node:fs');
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  process.stdout.write(`${version}\n`);
} else if (command(rest) === 'bridge') {
  await import('../dist/bridge.js');
} else {
  await import('../dist/main.js');
}

// The first argument that is neither a global option nor the value of one; --help anywhere is commander's.
function command(words) {
  if (words.includes('--help') || words.includes('-h')) return undefined;
  const withValue = new Set(['--config', '--env-file', '--profile', '--timeout', '--plugin']);
  for (let at = 0; at < words.length; at++) {
    if (!words[at].startsWith('-')) return words[at];
    if (withValue.has(words[at])) at++;
  }
  return undefined;
}
