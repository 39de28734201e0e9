import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import envPaths from 'env-paths';

const MOST = 1000;

export interface History {
  /** Lines of earlier sessions, the newest first, as readline wants them. */
  readonly lines: readonly string[];
  /** Keeps a line. Never throws: a folder that can't be written costs the history and nothing else. */
  add(line: string): Promise<void>;
}

/** The file that the shell's lines are kept in, readable by its owner only: ~/.local/state/countersign/history or the platform's own place. */
export function historyFile(): string {
  return join(envPaths('countersign', { suffix: '' }).log, 'history');
}

/** Reads the history, cut to its newest thousand lines. */
export async function openHistory(file = historyFile()): Promise<History> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const kept = text.split('\n').filter((line) => line !== '');
  if (kept.length > MOST)
    await writeFile(file, `${kept.slice(-MOST).join('\n')}\n`, { mode: 0o600 }).catch(() => undefined);
  let last = kept.at(-1);
  return {
    lines: kept.slice(-MOST).reverse(),
    async add(line) {
      if (line === last) return;
      last = line;
      try {
        await mkdir(dirname(file), { recursive: true, mode: 0o700 });
        await appendFile(file, `${line}\n`, { mode: 0o600 });
      } catch {
        // Kept in memory by readline all the same.
      }
    },
  };
}
