/** Where a component says what it does. Every line has passed the redactor. */
export interface Log {
  /** Shown with --debug. */
  debug(message: string): void;
  /** Shown always, on stderr. */
  warn(message: string): void;
}

export const silentLog: Log = { debug() {}, warn() {} };
