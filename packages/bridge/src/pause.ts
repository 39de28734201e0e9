/** Resolves after `ms` milliseconds or when the signal aborts, whichever comes first. Keeps no process alive. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms).unref();
    signal?.addEventListener('abort', done);
  });
}

/** Milliseconds before try number `failures`, from 0: from 0.2 s doubling to 30 s, spread so that many clients don't come at once. */
export function backoff(failures: number): number {
  return Math.min(30_000, 200 * 2 ** Math.min(failures, 10)) * (0.75 + Math.random() / 2);
}
