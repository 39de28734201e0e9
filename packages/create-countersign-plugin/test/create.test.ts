import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';

const execute = promisify(execFile);
const bin = fileURLToPath(new URL('../bin/create-countersign-plugin.js', import.meta.url));
const create = async (...args: string[]) => {
  const cwd = await mkdtemp(join(tmpdir(), 'countersign-create-'));
  return { cwd, ...(await execute(process.execPath, [bin, ...args], { cwd })) };
};

test.each([
  ['my-auth', 'countersign-auth-my-auth', 'my-auth'],
  ['countersign-auth-acme', 'countersign-auth-acme', 'acme'],
  ['deep/er/countersign-x', 'countersign-auth-x', 'x'],
])('%s becomes %s', async (folder, name, scheme) => {
  const { cwd, stdout } = await create(folder);
  const manifest = JSON.parse(await readFile(join(cwd, folder, 'package.json'), 'utf8')) as { name: string };
  expect([manifest.name, stdout]).toEqual([name, expect.stringContaining(`cd ${folder}`)]);
  expect(await readFile(join(cwd, folder, 'src/index.ts'), 'utf8')).toContain(`type: '${scheme}'`);
  expect((await readdir(join(cwd, folder))).sort()).toEqual([
    '.gitignore',
    'README.md',
    'package.json',
    'src',
    'test',
    'tsconfig.json',
  ]);
  const texts = await Promise.all(
    ['package.json', 'src/index.ts', 'test/provider.test.mjs', 'README.md'].map((file) =>
      readFile(join(cwd, folder, file), 'utf8'),
    ),
  );
  expect(texts.join('')).not.toMatch(/__[A-Z]+__/);
});

test.each([[[]], [['a', 'b']], [['--flag']], [['Über']], [['../..']]])(
  '%j is refused with exit code 2',
  async (args) => {
    await expect(create(...args)).rejects.toMatchObject({ code: 2 });
  },
);

test('a folder with something in it is left alone', async () => {
  const cwd = await mkdtemp(join(tmpdir(), 'countersign-create-'));
  await writeFile(join(cwd, 'mine.txt'), 'x');
  await expect(execute(process.execPath, [bin, '.'], { cwd })).rejects.toMatchObject({ code: 2 });
  expect(await readdir(cwd)).toEqual(['mine.txt']);
});
