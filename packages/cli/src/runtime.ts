import { CountersignError, type Countersign, type Interaction } from '@countersign/core';
import { configPath } from './config-path.js';
import type { Context, GlobalOptions } from './context.js';
import type { Address } from './failure.js';
import { terminalInteraction } from './interaction.js';
import { openInBrowser } from './opener.js';
import type { OwnStdout } from './own-stdout.js';
import { readInput } from './read-input.js';
import { lineReader } from './read-line.js';
import type { Screen } from './screen.js';

export interface Runtime {
  readonly context: Context;
  /** Ends every session and the instance. Never throws, and takes at most two seconds (R20). */
  readonly close: () => Promise<void>;
}

const CLOSING = 2000; // milliseconds

/** The context of one command line, over this process's own environment, folder and streams. */
export function createRuntime(
  options: GlobalOptions,
  screen: Screen,
  stdout: OwnStdout,
  signal: AbortSignal,
  address: Address,
): Runtime {
  const debug = { enabled: options.debug === true };
  const readLine = lineReader(process.stdin, process.stderr);
  let opened: Promise<Countersign> | undefined;

  const person = (print: (line: string) => void, browser: boolean, device: boolean): Interaction =>
    terminalInteraction({ print, open: browser ? openInBrowser : undefined, device, readLine, symbol: screen.symbol });
  const aside = (line: string): void => screen.warn(line, true);
  const attended = screen.attended && process.stdin.isTTY && !options.nonInteractive;

  const context: Context = {
    options,
    address,
    screen,
    signal,
    debug,
    connections: new Map(),
    app: (optional = false) =>
      (opened ??= open(options, debug, screen, optional, address.url).then(async (app) => {
        screen.redact = (text) => app.redact(text);
        const [stranger] = stdout.strangers;
        if (stranger === undefined) return app;
        await app.close();
        throw new CountersignError(
          'PLUGIN_FAILED',
          `The plugin ${stranger} prints to stdout as it loads, which is for results alone.`,
          {
            remedy: 'Tell its author, or remove it.',
          },
        );
      })),
    person: attended ? person(aside, true, false) : undefined,
    loginPerson: ({ browser, device }) =>
      options.nonInteractive
        ? nobody
        : person(screen.json ? aside : (line) => screen.print(line, true), browser, device),
    readInput: () => readInput(process.stdin),
    releaseOutput: stdout.release,
  };
  return {
    context,
    async close() {
      const closing = [...context.connections.values()].map((connection) => connection.close());
      const all = Promise.allSettled(closing).then(async () => (await opened)?.close());
      await Promise.race([all.catch(() => undefined), new Promise((resolve) => setTimeout(resolve, CLOSING).unref())]);
    },
  };
}

async function open(
  options: GlobalOptions,
  debug: { enabled: boolean },
  screen: Screen,
  optional: boolean,
  url: URL | undefined,
): Promise<Countersign> {
  const configuration = url ? bareServer(url, options.auth) : configurationOf(options, optional);
  const { openInstance } = await import('./instance.js');
  return openInstance({
    ...configuration,
    plugin: options.plugin,
    ...(options.envFile === undefined ? {} : { envFile: options.envFile }),
    ...(options.profile === undefined ? {} : { profile: options.profile }),
    ...(options.timeout === undefined ? {} : { timeout: options.timeout * 1000 }),
    log: {
      debug: (message) => {
        if (debug.enabled) screen.warn(screen.noteStyle('dim', `debug ${screen.shown(message)}`));
      },
      warn: (message) => screen.warn(`${screen.noteStyle('yellow', 'warning')} ${screen.shown(message)}`),
    },
  });
}

function configurationOf(
  options: GlobalOptions,
  optional: boolean,
): { configFile: string } | { servers: Record<string, unknown> } {
  try {
    return { configFile: configPath({ named: options.config, env: process.env, cwd: process.cwd() }) };
  } catch (error) {
    if (optional) return { servers: { mcpServers: {} } };
    throw error;
  }
}

// A server that is given by its URL is what `bridge URL --auth METHOD` uses: they share the credential.
function bareServer(url: URL, method = 'oauth'): { servers: Record<string, unknown> } {
  return { servers: { mcpServers: { [url.host]: { url: url.href, auth: { method } } } } };
}

// With --non-interactive a sign-in still works where no person is needed: client credentials.
const refuse = (): Promise<never> =>
  Promise.reject(
    new CountersignError('LOGIN_REQUIRED', 'The sign-in needs a person, and --non-interactive forbids to ask one.'),
  );
const nobody: Interaction = { show: refuse, ask: refuse, tell: () => undefined };
