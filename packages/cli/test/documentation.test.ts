import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { apiKey, bearer, closeEverything, everything, startGuard, type Guard } from '@countersign/test-servers';
import { bin, createPlace, type Place } from './support/countersign.js';
import { startDemo, type Demo } from './support/oauth-demo.js';

jest.setTimeout(120_000);

const page = fileURLToPath(new URL('../../../docs/cli.md', import.meta.url));
const text = await readFile(page, 'utf8');
const update = process.env['UPDATE_DOCS'] !== undefined; // Writes what came out into the page, in place of comparing.

let place: Place;
let guards: Guard[];
let demo: Demo;
let env: Record<string, string>;

beforeAll(async () => {
  place = await createPlace();
  const target = (await everything()).url;
  guards = [
    await startGuard({ target, verify: bearer('orders-token-4711') }),
    await startGuard({ target, verify: apiKey({ key: 'search-key-4711' }) }),
  ];
  demo = await startDemo();
  const written = /```json\n([\s\S]*?)```/.exec(text)?.[1] ?? '';
  const [orders, search] = guards;
  const config = await place.configure(
    JSON.parse(
      written
        .replace('127.0.0.1:41001', orders?.url.host ?? '')
        .replace('127.0.0.1:41002', search?.url.host ?? '')
        .replace('localhost:41003', demo.host),
    ),
  );
  await place.configure(
    JSON.parse(await readFile(new URL('fixtures/configs/insecure.json', import.meta.url), 'utf8')),
    'insecure.json',
  );
  await mkdir(join(place.folder, 'bin'));
  await writeFile(join(place.folder, 'bin', 'countersign'), `#!/bin/sh\nexec "${process.execPath}" "${bin}" "$@"\n`, {
    mode: 0o755,
  });
  env = {
    PATH: `${join(place.folder, 'bin')}:${process.env['PATH'] ?? ''}`,
    HOME: place.folder,
    COUNTERSIGN_CONFIG: config,
    ORDERS_TOKEN: 'orders-token-4711',
    SEARCH_KEY: 'search-key-4711',
  };
});

afterAll(async () => {
  for (const guard of guards) await guard.close();
  demo.close();
  await closeEverything();
  await place.remove();
});

const blocks = [...text.matchAll(/```console\n\$ (.*)\n([\s\S]*?)```/g)].map(([, command = '', output = '']) => ({
  command,
  output,
}));

describe('docs/cli.md', () => {
  let updated = text;

  test.each(blocks)('says what comes out of: $command', async ({ command, output }) => {
    const came = await shell(command);
    if (update) updated = updated.replace(`$ ${command}\n${output}\`\`\``, () => `$ ${command}\n${came}\`\`\``);
    else expect(alike(came)).toBe(alike(output));
  });

  test('shows every command', async () => {
    if (update) return writeFile(page, updated);
    const { stdout } = await place.run(['--help']);
    const commands = [...stdout.matchAll(/^ {2}([a-z]+) (?:\[|<| {2})/gm)].map(([, name]) => name ?? '');
    expect(commands.length).toBeGreaterThan(10);
    for (const name of commands) expect(text).toMatch(new RegExp(`^## .*\\b${name}\\b`, 'm'));
  });
});

/** Runs a line as a person would, and answers what the screen shows. A sign-in is finished by a browser that consents at once. */
function shell(line: string): Promise<string> {
  return new Promise((resolve) => {
    let shown = '';
    let followed = false;
    const child = execFile('sh', ['-c', line], { cwd: place.folder, env });
    const read = (chunk: string): void => {
      shown += chunk;
      const url = /^https?:\S+code_challenge\S+$/m.exec(shown)?.[0];
      if (url === undefined || followed || !/^ssh -L|or paste/m.test(shown)) return;
      followed = true;
      void fetch(url);
    };
    child.stdin?.end();
    child.stdout?.setEncoding('utf8').on('data', read);
    child.stderr?.setEncoding('utf8').on('data', read);
    child.on('close', () => resolve(tidy(shown)));
  });
}

/** What differs on every run and machine, as the page has it. */
function tidy(shown: string): string {
  return shown
    .replaceAll(guards[0]?.url.host ?? '', '127.0.0.1:41001')
    .replaceAll(guards[1]?.url.host ?? '', '127.0.0.1:41002')
    .replaceAll(demo.host, 'localhost:41003')
    .replaceAll(encodeURIComponent(demo.host), encodeURIComponent('localhost:41003'))
    .replaceAll(demo.authority, 'localhost:41004')
    .replaceAll(place.folder, '/home/ada');
}

/** For comparison: without times, ports, identifiers and widths of columns. */
function alike(shown: string): string {
  return shown
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z?/g, 'TIME')
    .replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'UUID')
    .replace(/(code_challenge|state)=[\w-]+/g, '$1=RANDOM')
    .replace(/localhost(:|%3A)\d+/g, 'localhost$1PORT')
    .replace(/ssh -L \d+:localhost:/g, 'ssh -L PORT:localhost:')
    .replace(/\d+ (ms|min|s)\b/g, 'SOME $1')
    .replace(/("latencyMs": )\d+/g, '$1SOME')
    .replace(/"version": "[\d.]+"/g, '"version": "V"')
    .replace(/[ \t]+/g, ' ')
    .trim();
}
