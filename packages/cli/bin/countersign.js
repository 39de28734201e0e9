#!/usr/bin/env node
// Plain CommonJS, so that a start loads only what the command needs: node's loader of ES modules alone is a tenth of it.
const rest = process.argv.slice(2);

if (rest.length === 1 && (rest[0] === '--version' || rest[0] === '-V')) {
  process.stdout.write(`${require('../package.json').version}\n`);
} else if (command(rest) === 'bridge') {
  require('../dist/bridge.cjs');
} else {
  import('../dist/main.js');
}

// The first argument that is neither a global option nor the value of one; --help anywhere is commander's.
function command(words) {
  if (words.includes('--help') || words.includes('-h')) return undefined;
  const withValue = new Set(['--config', '--env-file', '--profile', '--auth', '--timeout', '--plugin']);
  for (let at = 0; at < words.length; at++) {
    if (!words[at].startsWith('-')) return words[at];
    if (withValue.has(words[at])) at++;
  }
  return undefined;
}
