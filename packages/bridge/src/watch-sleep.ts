/** Calls back when the machine has slept: a timer of five seconds was a long time late. Answers how to stop. */
export function watchSleep(woke: () => void): () => void {
  let last = Date.now();
  const timer = setInterval(() => {
    const now = Date.now();
    if (now - last > 20_000) woke();
    last = now;
  }, 5000).unref();
  return () => clearInterval(timer);
}
