/** Waits for `work` as long as the signal allows, and rejects with its reason then; the work itself goes on. */
export function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  return new Promise<T>((resolve, reject) => {
    const give = (): void => reject(signal.reason as Error);
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', give));
    if (signal.aborted) give();
    else signal.addEventListener('abort', give, { once: true });
  });
}
