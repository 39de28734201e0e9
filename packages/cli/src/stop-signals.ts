import { setMaxListeners } from 'node:events';
import { CountersignError } from '@countersign/core';

const EXIT_CODES = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
const BROKEN_PIPE = 141;
const LONGEST = 2500; // milliseconds, for everything to end by itself

export interface Stop {
  /** Aborts with ABORTED when the process is told to stop. */
  readonly signal: AbortSignal;
  /** By which signal the process ends; undefined as long as none came. */
  readonly exitCode: number | undefined;
  /** Resolves as the work does, or rejects at once when the process is told to stop. */
  race<T>(work: Promise<T>): Promise<T>;
}

/** Turns stop signals, and a reader of stdout that went away, into an abort; a second signal, or work that doesn't end, exits at once. */
export function stopSignals(target: NodeJS.Process): Stop {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal); // Every request of every server listens to it.
  let exitCode: number | undefined;
  const stop = (code: number, reason: string): void => {
    if (exitCode !== undefined) target.exit(exitCode);
    exitCode = code;
    setTimeout(() => target.exit(code), LONGEST).unref();
    controller.abort(new CountersignError('ABORTED', reason));
  };
  for (const [name, code] of Object.entries(EXIT_CODES)) target.on(name, () => stop(code, `Stopped by ${name}.`));
  target.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') stop(BROKEN_PIPE, 'Nobody reads the output any more.');
  });
  target.stderr.on('error', () => undefined);
  return {
    signal: controller.signal,
    get exitCode() {
      return exitCode;
    },
    race(work) {
      work.catch(() => undefined); // It may fail after the race is over.
      return Promise.race([
        work,
        new Promise<never>((_, reject) => {
          const abort = (): void => reject(controller.signal.reason as Error);
          if (controller.signal.aborted) abort();
          else controller.signal.addEventListener('abort', abort, { once: true });
        }),
      ]);
    },
  };
}
