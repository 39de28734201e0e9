import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The bin that is published. */
export const bin = fileURLToPath(new URL('../../bin/countersign.js', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** The one JSON document of stdout. */
  readonly json: never;
}

export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Resolves when stdout or stderr holds the text. */
  readonly shows: (text: string) => Promise<void>;
  /** What it has written so far. */
  readonly text: () => string;
}

export interface Place {
  readonly folder: string;
  /** Runs the bin in the folder, with a home and a store of its own and nothing else of this process's environment. */
  readonly run: (words: readonly string[], options?: RunOptions) => Promise<Ended>;
  readonly start: (words: readonly string[], options?: RunOptions) => Running;
  /** Writes a configuration into the folder, and answers its path. */
  readonly configure: (configuration: unknown, name?: string) => Promise<string>;
  readonly remove: () => Promise<void>;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Written to stdin, which then ends; without it stdin is empty. Null leaves it open. */
  readonly input?: string | null;
}

/** A scratch folder to run the command line in. */
export async function createPlace(): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-cli-'));

  const start: Place['start'] = (words, { env = {}, input = '' } = {}) => {
    const child = spawn(process.execPath, [bin, ...words], {
      cwd: folder,
      env: { PATH: process.env['PATH'] ?? '', HOME: folder, COUNTERSIGN_STORE: join(folder, 'store'), ...env },
    });
    let stdout = '';
    let stderr = '';
    const waiting = new Set<() => void>();
    const seen = (): void => waiting.forEach((look) => look());
    child.stdout
      .setEncoding('utf8')
      .on('data', (text: string) => (stdout += text))
      .on('data', seen);
    child.stderr
      .setEncoding('utf8')
      .on('data', (text: string) => (stderr += text))
      .on('data', seen);
    child.stdin.on('error', () => undefined); // It ended without reading.
    if (input !== null) child.stdin.end(input);
    const ended = new Promise<Ended>((resolve) => {
      child.once('close', (code) =>
        resolve({
          code,
          stdout,
          stderr,
          get json() {
            return JSON.parse(stdout) as never;
          },
        }),
      );
    });
    const shows = (text: string): Promise<void> =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (stdout.includes(text) || stderr.includes(text)) resolve();
        };
        waiting.add(look);
        void ended.then(() => reject(new Error(`It ended without ${text}: ${stdout}${stderr}`)));
        look();
      });
    return { child, ended, shows, text: () => `${stdout}\n${stderr}` };
  };

  return {
    folder,
    start,
    run: (words, options) => start(words, options).ended,
    async configure(configuration, name = 'test-configuration.json') {
      const path = join(folder, name);
      await writeFile(path, JSON.stringify(configuration));
      return path;
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
