#!/usr/bin/env node
// npm create countersign-plugin my-auth: writes a package that builds, tests and packs, in a folder of that name.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const USAGE = `Usage: npm create countersign-plugin <folder>

Writes a Countersign auth provider into <folder>: about thirty lines of source, its test by @countersign/testing, and a README.

Examples:
  npm create countersign-plugin my-auth
  npm create countersign-plugin packages/countersign-auth-acme`;

const args = process.argv.slice(2);
if (args.includes('--help') || args.includes('-h')) {
  console.log(USAGE);
} else if (args.length !== 1 || args[0].startsWith('-')) {
  fail(USAGE);
} else {
  create(args[0]);
}

function create(folder) {
  const target = resolve(folder);
  const scheme = basename(target)
    .replace(/^countersign-(auth-)?/, '')
    .toLowerCase();
  if (!/^[a-z][a-z0-9-]{0,40}$/.test(scheme))
    fail(`"${basename(target)}" can't name a package: use lower-case letters, digits and hyphens.`);
  if (existsSync(target) && readdirSync(target).length > 0)
    fail(`${target} is there already, and not empty. Nothing was written.`);

  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  const words = {
    __SCHEME__: scheme,
    __NAME__: `countersign-auth-${scheme}`,
    __VARIABLE__: scheme.toUpperCase().replaceAll('-', '_'),
    __VERSION__: version,
  };
  const template = fileURLToPath(new URL('../template/', import.meta.url));
  for (const file of files(template)) {
    const path = join(target, file.replace(/^_/, '.').replace(/\.template$/, ''));
    mkdirSync(dirname(path), { recursive: true });
    const text = readFileSync(join(template, file), 'utf8');
    writeFileSync(
      path,
      text.replace(/__[A-Z]+__/g, (word) => words[word] ?? word),
    );
  }
  console.log(`Wrote ${words.__NAME__} to ${folder}. Next:

  cd ${folder}
  npm install
  npm test          # builds it, and holds it to the contract of every provider
  npm pack          # the package that you publish

Then name it in a configuration:  "countersign": { "plugins": ["${words.__NAME__}"] }`);
}

function files(folder, below = '') {
  return readdirSync(join(folder, below), { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? files(folder, join(below, entry.name)) : [join(below, entry.name)],
  );
}

function fail(message) {
  console.error(message);
  process.exit(2);
}
