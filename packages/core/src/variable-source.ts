import type { Attempt } from './auth-provider.js';

/** Answers `${NAME}` where no provider and no environment variable does. */
export interface VariableSource {
  readonly names: readonly string[] | RegExp;
  /** Within an attempt the values of one source agree; without one (a child's environment) there is no request. `undefined` means not set. */
  value(
    name: string,
    attempt: Attempt | undefined,
    signal?: AbortSignal,
  ): string | undefined | Promise<string | undefined>;
}
