import type { Countersign, Interaction } from '@countersign/core';
import type { Connection } from './connection.js';
import type { Address } from './failure.js';
import type { Notification } from './shell/notifications.js';
import type { Screen } from './screen.js';

/** The options that every command takes. */
export interface GlobalOptions {
  readonly config?: string;
  readonly envFile?: string;
  readonly profile?: string;
  /** How to authenticate to a server that is given by its URL. */
  readonly auth?: string;
  readonly plugin?: readonly string[];
  readonly json?: boolean;
  readonly debug?: boolean;
  /** False with --no-color. */
  readonly color?: boolean;
  /** Seconds. */
  readonly timeout?: number;
  readonly nonInteractive?: boolean;
}

/** What a command works with. One command line has one, and the shell one for each line. */
export interface Context {
  readonly options: GlobalOptions;
  readonly address: Address;
  readonly screen: Screen;
  /** Aborts when the person or the system wants the work to stop. */
  readonly signal: AbortSignal;
  /** The instance, made at the first call. Without a configuration it rejects, unless `optional`. */
  readonly app: (optional?: boolean) => Promise<Countersign>;
  /** Open sessions by server. */
  readonly connections: Map<string, Connection>;
  /** The person who can sign in while other work waits; undefined without a terminal or with --non-interactive. */
  readonly person: Interaction | undefined;
  /** The person for `login`, terminal or not. */
  readonly loginPerson: (choice: LoginChoice) => Interaction;
  readonly readInput: () => Promise<string>;
  /** Gives stdout to whoever edits lines on it. */
  readonly releaseOutput: () => void;
  /** Whether --debug's log is shown: the shell turns it on and off. */
  readonly debug: { enabled: boolean };
  /** Is told of the servers' notifications. */
  readonly notified?: (server: string, notification: Notification) => void;
}

export interface LoginChoice {
  /** False with --no-browser. */
  readonly browser: boolean;
  readonly device: boolean;
}

/** One command: does its work on the context and resolves to the exit code. */
export type RunCommand = (
  context: Context,
  words: readonly string[],
  options: Readonly<Record<string, unknown>>,
) => Promise<number>;
