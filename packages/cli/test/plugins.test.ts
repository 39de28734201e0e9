import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { createPlace, type Place } from './support/countersign.js';
import { startScripted, type ScriptedServer } from './support/mcp-server.js';
import { strangerIn } from '../src/own-stdout.js';

jest.setTimeout(60_000);

let place: Place;
let server: ScriptedServer;

beforeAll(async () => {
  place = await createPlace();
  server = await startScripted({ 'tools/list': () => ({ tools: [] }) });
});

afterAll(async () => {
  await server.close();
  await place.remove();
});

// A plugin in plain JavaScript, which imports nothing of ours.
const provider = (name: string, { load = '', authorize = '' } = {}): string => `
${load}
export default {
  name: '${name}', apiVersion: 1,
  register(container) {
    container.register(Symbol.for('countersign.VariableSource'), { useValue: { names: ['VAULT_KEY'], value: () => { ${authorize} return 'from-the-vault'; } } });
  },
};
`;

async function install(name: string, source: string): Promise<void> {
  const folder = join(place.folder, 'node_modules', name);
  await mkdir(folder, { recursive: true });
  await writeFile(
    join(folder, 'package.json'),
    JSON.stringify({ name, version: '1.0.0', type: 'module', exports: './index.js' }),
  );
  await writeFile(join(folder, 'index.js'), source);
}

const configure = (plugins: string[]) =>
  place.configure({
    countersign: { plugins },
    mcpServers: { vault: { url: server.url, headers: { 'X-Vault': '${VAULT_KEY}' } } },
  });

describe('a plugin', () => {
  test('that the configuration names is loaded from its folder', async () => {
    await install('countersign-vault', provider('countersign-vault'));
    const config = await configure(['countersign-vault']);
    const ended = await place.run(['--config', config, 'headers', 'vault', '--reveal', '--json']);
    expect(ended.json).toMatchObject({ headers: { 'x-vault': 'from-the-vault' } });
  });

  test('that --plugin names is loaded from the working folder', async () => {
    await install('countersign-vault', provider('countersign-vault'));
    const config = await configure([]);
    const ended = await place.run([
      '--config',
      config,
      '--plugin',
      'countersign-vault',
      'headers',
      'vault',
      '--reveal',
      '--json',
    ]);
    expect(ended.json).toMatchObject({ headers: { 'x-vault': 'from-the-vault' } });
  });

  test.each([
    ['is missing', 'countersign-missing', undefined],
    ['throws as it loads', 'countersign-throws', "throw new Error('out of order');"],
    ['prints to stdout as it loads', 'countersign-prints', "console.log('hello from a plugin');"],
  ])('that %s is an error that names it', async (_, name, load) => {
    if (load !== undefined) await install(name, provider(name, { load }));
    const ended = await place.run(['--config', await configure([name]), '--json', 'tools', 'vault']);
    expect(ended.code).toBe(2);
    expect(ended.json).toMatchObject({
      error: { code: 'PLUGIN_FAILED', message: expect.stringContaining(name) as unknown },
    });
  });

  test('that prints to stdout at work does not spoil the document', async () => {
    await install('countersign-chatty', provider('countersign-chatty', { authorize: "console.log('working');" }));
    const ended = await place.run(['--config', await configure(['countersign-chatty']), '--json', 'tools', 'vault']);
    expect(ended.code).toBe(0);
    expect(ended.json).toEqual({ tools: [] });
    expect(ended.stderr).toContain('working');
  });
});

describe('who wrote to stdout', () => {
  test.each([
    [
      'Error\n    at console.log (node:internal/console/constructor:380:61)\n    at file:///home/a/node_modules/@acme/auth/index.js:1:9\n',
      '@acme/auth',
    ],
    ['Error\n    at Object.<anonymous> (C:\\a\\node_modules\\acme\\index.js:1:9)', 'acme'],
    ['Error\n    at load (/home/a/plugin.js:1:9)', '/home/a/plugin.js'],
    ['', 'a library'],
  ])('is told from %j as %s', (stack, name) => {
    expect(strangerIn(stack)).toBe(name);
  });
});
