import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { configPath } from '../src/config-path.js';

let cwd: string;
let folder: string;

beforeEach(async () => {
  const root = await mkdtemp(join(tmpdir(), 'countersign-cli-'));
  cwd = join(root, 'project');
  folder = join(root, 'config');
  await mkdir(cwd);
  await mkdir(folder);
});

afterEach(() => rm(join(cwd, '..'), { recursive: true }));

const refusal = (): { code: string; message: string; remedy: string } => {
  try {
    configPath({ env: {}, cwd, folder });
  } catch (error) {
    return error as { code: string; message: string; remedy: string };
  }
  throw new Error('a configuration was found');
};

describe('the configuration', () => {
  test('is the one that --config names, before $COUNTERSIGN_CONFIG', () => {
    expect(configPath({ named: 'a.json', env: { COUNTERSIGN_CONFIG: 'b.json' }, cwd, folder })).toBe('a.json');
  });

  test('is the one that $COUNTERSIGN_CONFIG names, before the configuration folder', async () => {
    await writeFile(join(folder, 'config.json'), '{}');
    expect(configPath({ env: { COUNTERSIGN_CONFIG: 'b.json' }, cwd, folder })).toBe('b.json');
  });

  test("lies in the user's configuration folder otherwise", async () => {
    await writeFile(join(folder, 'config.json'), '{}');
    expect(configPath({ env: { COUNTERSIGN_CONFIG: '' }, cwd, folder })).toBe(join(folder, 'config.json'));
  });

  test.each(['countersign.json', 'mcp.json', '.mcp.json', 'servers_config.json', 'mcp.jsonc'])(
    'is never %s of the working folder, and the error says that it is there',
    async (name) => {
      await writeFile(join(cwd, name), '{}');
      const { code, message, remedy } = refusal();
      expect(code).toBe('CONFIG_NOT_FOUND');
      expect(message).toContain(JSON.stringify(name));
      expect(remedy).toContain(`--config ./${name}`);
    },
  );

  test('is never that of an editor in the working folder', async () => {
    await mkdir(join(cwd, '.vscode'));
    await writeFile(join(cwd, '.vscode', 'mcp.json'), '{}');
    expect(refusal().remedy).toContain(`--config ./${join('.vscode', 'mcp.json')}`);
  });

  test('is quoted for the shell where its name needs it', async () => {
    await writeFile(join(cwd, "it's mcp.json"), '{}');
    expect(refusal().remedy).toContain(String.raw`--config './it'\''s mcp.json'`);
  });

  test('is missing without a hint where the working folder has none', async () => {
    await writeFile(join(cwd, 'package.json'), '{}');
    await writeFile(join(cwd, 'tsconfig.json'), '{}');
    expect(refusal().message).toBe(
      `No configuration file was named, and ${join(folder, 'config.json')} does not exist.`,
    );
  });
});
