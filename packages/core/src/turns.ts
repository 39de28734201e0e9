import { CountersignError } from './errors.js';

/** Runs `work` when all before it with the same key have settled. Its signal aborts with the caller's, or at the end of the wait. */
export type Turn = <T>(
  key: string,
  signal: AbortSignal | undefined,
  work: (waiting: AbortSignal) => Promise<T>,
) => Promise<T>;

/** Queues of this process, one for each key. Who has waited `wait` milliseconds gets TIMEOUT; work that has begun goes on to its end. */
export function turns(wait: number): Turn {
  const last = new Map<string, Promise<unknown>>();
  return async (key, signal, work) => {
    signal?.throwIfAborted();
    const deadline = new AbortController();
    const timer = setTimeout(() => {
      deadline.abort(
        new CountersignError('TIMEOUT', `Another process or request held a stored secret for ${wait / 1000} s.`),
      );
    }, wait);
    const waiting = signal ? AbortSignal.any([signal, deadline.signal]) : deadline.signal;
    let abandon = (): void => undefined;
    const abandoned = new Promise<never>((_, reject) => {
      abandon = () => reject(waiting.reason as Error);
      waiting.addEventListener('abort', abandon);
    });
    abandoned.catch(() => undefined);
    const run = (last.get(key) ?? Promise.resolve()).then(() => {
      waiting.removeEventListener('abort', abandon);
      waiting.throwIfAborted();
      return work(waiting);
    });
    const settled = run.then(
      () => undefined,
      () => undefined,
    );
    last.set(key, settled);
    void settled.then(() => {
      if (last.get(key) === settled) last.delete(key);
    });
    try {
      return await Promise.race([run, abandoned]);
    } finally {
      clearTimeout(timer);
    }
  };
}
