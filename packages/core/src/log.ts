/** Where a component says what it does. Every line has passed the redactor. */
export interface Log {
  /** Nobody will read debug lines: then none is searched for secrets, which a request would wait for. */
  readonly quiet?: boolean;
  /** Shown with --debug. */
  debug(message: string): void;
  /** Shown always, on stderr. */
  warn(message: string): void;
}

export const silentLog: Log = { quiet: true, debug() {}, warn() {} };
