import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { open } from './support.js';

const PLUGIN = `export default { name: 'acme', apiVersion: 1, register(container) { container.register(Symbol.for('countersign.VariableSource'), { useValue: { names: ['ACME'], value: () => 'x' } }); } };`;

async function folder(files: Record<string, string>) {
  const root = await mkdtemp(join(tmpdir(), 'countersign-'));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(root, name, '..'), { recursive: true });
    await writeFile(join(root, name), text);
  }
  return root;
}

const configuration = (plugin: string) =>
  JSON.stringify({ countersign: { plugins: [plugin] }, s: { url: 'https://h/mcp' } });

test.each(['countersign-acme', './plugin.mjs'])('%s is found from the configuration’s folder', async (name) => {
  const root = await folder({
    'c.json': configuration(name),
    'plugin.mjs': PLUGIN,
    'node_modules/countersign-acme/package.json': '{"name":"countersign-acme","type":"module","exports":"./i.js"}',
    'node_modules/countersign-acme/i.js': PLUGIN,
  });
  await expect(open({ configFile: join(root, 'c.json') })).resolves.toBeDefined();
});

test.each([
  ['countersign-missing', '', /countersign-missing is not installed/],
  ['./throws.mjs', 'throw new Error("boom")', /throws\.mjs failed to load: boom/],
  ['./syntax.mjs', 'export default {', /syntax\.mjs failed to load/],
  ['./nothing.mjs', 'export const a = 1', /not a Countersign plugin: its default export/],
  ['./future.mjs', 'export default { name: "f", apiVersion: 9, register() {} }', /apiVersion is 9/],
])('%s is PLUGIN_FAILED, which names it', async (name, text, message) => {
  const root = await folder({ 'c.json': configuration(name), [name]: text });
  await expect(open({ configFile: join(root, 'c.json') })).rejects.toMatchObject({
    code: 'PLUGIN_FAILED',
    message: expect.stringMatching(message),
  });
});

test.each([
  ['throws.mjs', 'throw new Error(process.env.K_OF_TEST)'],
  [
    'register.mjs',
    'export default { name: "r", apiVersion: 1, register() { throw new Error(process.env.K_OF_TEST) } }',
  ],
])('a plugin that quotes a secret of the configuration when it fails (%s) is quoted without it', async (name, text) => {
  process.env['K_OF_TEST'] = 'canary-secret-4711';
  const root = await folder({
    'c.json': JSON.stringify({
      countersign: { plugins: [`./${name}`] },
      s: { url: 'https://h/mcp', headers: { 'X-Key': '${K_OF_TEST}' } },
    }),
    [name]: text,
  });
  await expect(open({ configFile: join(root, 'c.json'), env: process.env })).rejects.toMatchObject({
    code: 'PLUGIN_FAILED',
    message: expect.stringContaining('[redacted]'),
    stack: expect.not.stringContaining('canary-secret-4711'),
  });
  delete process.env['K_OF_TEST'];
});

test('a .env beside the configuration is read, and process.env wins and stays as it was', async () => {
  const root = await folder({
    'c.json': JSON.stringify({ s: { url: '${URL_A}/${PART}' } }),
    '.env': 'URL_A=https://from-file\nPART=file',
  });
  const before = { ...process.env };
  const app = await open({ configFile: join(root, 'c.json'), env: { PART: 'environment' } });
  expect((await app.preview('s')).url.href).toBe('https://from-file/environment');
  expect(process.env).toEqual(before);
});

test('a named .env that is not there is an error', async () => {
  const root = await folder({ 'c.json': '{"s":{"url":"https://h"}}' });
  await expect(open({ configFile: join(root, 'c.json'), envFile: join(root, 'none.env') })).rejects.toMatchObject({
    code: 'CONFIG_NOT_FOUND',
  });
});
