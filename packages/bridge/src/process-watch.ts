/** When this process has to end, and with which code. */
export interface ProcessWatch {
  /** Aborts on SIGINT, SIGTERM, SIGHUP, and when the parent process is gone. */
  readonly signal: AbortSignal;
  /** 130, 143 or 129 after such a signal, else 0. */
  readonly exitCode: number;
  stop(): void;
}

const CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** Watches for what ends a stdio server besides the end of stdin. The parent is looked for each second: a pipe that another process holds open hides its death. */
export function watchProcess(): ProcessWatch {
  const controller = new AbortController();
  const parent = process.ppid;
  let exitCode = 0;
  const on = Object.entries(CODES).map(([name, code]) => {
    const listener = (): void => {
      exitCode ||= code;
      controller.abort();
    };
    process.on(name, listener);
    return [name, listener] as const;
  });
  const timer = setInterval(() => {
    if (process.ppid !== parent) controller.abort();
  }, 1000).unref();
  return {
    signal: controller.signal,
    get exitCode() {
      return exitCode;
    },
    stop() {
      clearInterval(timer);
      for (const [name, listener] of on) process.off(name, listener);
    },
  };
}
