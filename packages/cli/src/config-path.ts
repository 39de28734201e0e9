import { existsSync, readdirSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { CountersignError } from '@countersign/core';
import envPaths from 'env-paths';

/** The names that are looked for in the user's configuration folder, in order. */
export const CONFIG_NAMES = ['config.json', 'config.jsonc', 'countersign.json', 'mcp.json'] as const;

export interface ConfigPathOptions {
  /** --config. */
  readonly named?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The working folder: looked at only to tell that a file in it is not read (R2). */
  readonly cwd: string;
  readonly folder?: string;
}

/** The folder for a user's configuration: ~/.config/countersign, or what the platform has in its place. */
export function configFolder(): string {
  return envPaths('countersign', { suffix: '' }).config;
}

/**
 * The configuration file: --config, else $COUNTERSIGN_CONFIG, else the user's own configuration folder. Nothing else is picked up:
 * whoever can write a file into a working folder would choose the commands that run and the hosts that see credentials.
 * Throws CONFIG_NOT_FOUND, which tells of a file in the working folder and how to name it.
 */
export function configPath({ named, env, cwd, folder = configFolder() }: ConfigPathOptions): string {
  const chosen = named ?? (env['COUNTERSIGN_CONFIG'] || undefined);
  if (chosen !== undefined) return chosen;
  if (isAbsolute(folder)) {
    const own = CONFIG_NAMES.map((name) => join(folder, name)).find((path) => existsSync(path));
    if (own !== undefined) return own;
  }
  const here = candidates(cwd);
  const [first] = here;
  if (first === undefined) {
    throw new CountersignError(
      'CONFIG_NOT_FOUND',
      `No configuration file was named, and ${join(folder, CONFIG_NAMES[0])} does not exist.`,
    );
  }
  throw new CountersignError(
    'CONFIG_NOT_FOUND',
    `No configuration file was named. ${list(here)} in this folder ${here.length === 1 ? 'is' : 'are'} not read, because a configuration runs commands and uses credentials.`,
    {
      remedy: `If you trust it, name it: --config ${quoted(join('.', first))}, or COUNTERSIGN_CONFIG=${quoted(join(cwd, first))}.`,
    },
  );
}

const LIKELY = /^(?!package|tsconfig|jsconfig).*(countersign|mcp|servers?|config).*\.jsonc?$/i;

function candidates(cwd: string): string[] {
  const nested = [join('.vscode', 'mcp.json'), join('.cursor', 'mcp.json')].filter((path) =>
    existsSync(join(cwd, path)),
  );
  try {
    return [
      ...readdirSync(cwd)
        .filter((name) => LIKELY.test(name))
        .sort(),
      ...nested,
    ].slice(0, 5);
  } catch {
    return nested;
  }
}

const list = (names: readonly string[]): string => names.map((name) => JSON.stringify(name)).join(', ');
const quoted = (path: string): string => {
  const shown = isAbsolute(path) ? path : `./${path}`;
  return /^[\w./:\\-]+$/.test(shown) ? shown : `'${shown.replaceAll("'", "'\\''")}'`;
};
