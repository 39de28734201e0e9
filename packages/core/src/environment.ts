import { readFile } from 'node:fs';
import { resolve } from 'node:path';
import { parseEnv, promisify } from 'node:util';
import { CountersignError } from './errors.js';

export type Environment = Readonly<Record<string, string | undefined>>;

/** The environment with a .env behind it: what the environment sets wins. process.env is not changed. A named file that can't be read is CONFIG_NOT_FOUND. */
export async function readEnvironment(
  env: Environment,
  file: string | undefined,
  folder: string,
): Promise<Environment> {
  const candidates = file === undefined ? [...new Set([resolve(folder, '.env'), resolve('.env')])] : [resolve(file)];
  for (const candidate of candidates) {
    try {
      return { ...parseEnv(await promisify(readFile)(candidate, 'utf8')), ...env };
    } catch (error) {
      if (file === undefined && ['ENOENT', 'EISDIR', 'EACCES'].includes((error as { code?: string }).code ?? ''))
        continue;
      throw new CountersignError(
        'CONFIG_NOT_FOUND',
        `The environment file ${candidate} can't be read (${(error as { code?: string }).code ?? 'unreadable'}).`,
        { cause: error },
      );
    }
  }
  return env;
}
