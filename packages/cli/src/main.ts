import { CommanderError } from 'commander';
import { CountersignError } from '@countersign/core';
import type { GlobalOptions } from './context.js';
import { errorText } from './error-text.js';
import { EXIT, exitCode } from './exit-code.js';
import { failure, type Address } from './failure.js';
import { ownStdout } from './own-stdout.js';
import { createProgram, type Invocation } from './program.js';
import { createRuntime } from './runtime.js';
import { createScreen, type Screen } from './screen.js';
import { stopSignals } from './stop-signals.js';

const stop = stopSignals(process);
const stdout = ownStdout(process);
const words = process.argv.slice(2);
// Known before the command line is: a mistake in it is answered in the form that was asked for.
const plain = screenFor({ json: words.includes('--json'), color: !words.includes('--no-color') });

let address: Address = { options: '' };
let current = plain; // The screen that knows what to hide.

process.on('uncaughtException', (error) => crash(error));
// One server's failure that nobody waits for ends no shell.
process.on('unhandledRejection', (error) => (stdout.released ? report(current, error, false) : crash(error)));

const code = await run();
await stdout.flush();
process.exit(stop.exitCode ?? code);

async function run(): Promise<number> {
  let invocation: Invocation | undefined;
  const program = createProgram(
    (chosen) => (invocation = chosen),
    (text) => stdout.write(text),
  );
  try {
    program.parse(words, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.done;
    return report(plain, usage(error), false);
  }
  if (!invocation) return EXIT.done;
  const options = program.opts<GlobalOptions>();
  const screen = (current = screenFor(options));
  const at = Math.max(0, invocation.words.indexOf(invocation.server ?? ''));
  const named = invocation.words[at] ?? '';
  const url = /^https?:\/\//i.test(named) && URL.canParse(named) ? new URL(named) : undefined;
  address = { url, options: optionsAgain(options) };
  const { context, close } = createRuntime(options, screen, stdout, stop.signal, address);
  try {
    const { run: command } = await invocation.load();
    return await stop.race(
      command(context, url ? invocation.words.with(at, url.host) : invocation.words, invocation.options),
    );
  } catch (error) {
    return report(screen, error, context.debug.enabled, invocation.server);
  } finally {
    screen.progress(undefined);
    await close();
  }
}

function screenFor({ json = false, color = true }: GlobalOptions): Screen {
  return createScreen({ stdout, stderr: process.stderr, env: process.env, color, json });
}

/** The options that say which server and which account: a remedy's command repeats them. */
function optionsAgain({ config, profile, auth }: GlobalOptions): string {
  const given = Object.entries({ config, profile, auth }).filter(([, value]) => value !== undefined);
  const quoted = (value: string): string => (/^[\w./:\\~-]+$/.test(value) ? value : JSON.stringify(value));
  return given.map(([name, value]) => ` --${name} ${quoted(value as string)}`).join('');
}

function usage(error: unknown): unknown {
  if (!(error instanceof CommanderError)) return error;
  const message = error.message
    .replace(/^error: /, '')
    .replace(/^./, (letter) => letter.toUpperCase())
    .replace(/'(--?[\w-]+)=[^]*'/, "'$1'") // what stands after the sign may be a secret
    .replace(/\n\((Did you mean .*)\)$/, '. $1');
  return new CountersignError('USAGE', /[.?)]$/.test(message) ? message : `${message}.`, {
    remedy: 'Run `countersign --help`, or a command with --help.',
  });
}

// Tells the error in the form that was asked for, and answers the exit code.
function report(screen: Screen, error: unknown, debug: boolean, server?: string): number {
  const found = failure(error, server, address);
  screen.progress(undefined);
  if (screen.json) screen.document({ error: found });
  else if (stop.exitCode === undefined)
    screen.warn(
      errorText(screen, found, 'error', {
        lead: (text) => screen.noteStyle('red', text),
        remedy: (text) => screen.noteStyle('dim', text),
      }),
    );
  if (debug && found.code !== 'USAGE' && error instanceof Error && error.stack)
    screen.warn(screen.noteStyle('dim', screen.shown(error.stack)));
  return exitCode(found.code);
}

function crash(error: unknown): never {
  process.exit(stop.exitCode ?? report(current, error, false));
}
