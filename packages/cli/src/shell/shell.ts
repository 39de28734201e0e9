import { setMaxListeners } from 'node:events';
import { CountersignError } from '@countersign/core';
import { connectedLine } from '../commands/connections.js';
import { connectAll } from '../connect-all.js';
import type { Context } from '../context.js';
import { errorText } from '../error-text.js';
import { failure } from '../failure.js';
import { terminalInteraction } from '../interaction.js';
import { openInBrowser } from '../opener.js';
import type { Screen } from '../screen.js';
import { createCompletion } from './completion.js';
import { openHistory } from './history.js';
import { notificationText } from './notifications.js';
import { openPrompt, type Terminal } from './prompt-line.js';
import { runLine } from './run-line.js';

export interface ShellOptions extends Terminal {
  /** Where the lines are kept; the user's own place by default. */
  readonly historyFile?: string;
}

/** The interactive shell: connects to every server, then runs lines until /quit, Ctrl-D or a stop signal. Resolves to the exit code. */
export async function shell(outer: Context, { input, output, historyFile }: ShellOptions): Promise<number> {
  const { screen } = outer;
  const app = await outer.app();
  const history = await openHistory(historyFile);
  const completion = createCompletion(
    outer,
    app.servers.map(({ name }) => name),
  );
  const prompt = openPrompt({ input, output, history: history.lines, complete: (line) => completion.candidates(line) });
  screen.wrap = (write) => prompt.aside(write);

  const contextOf = (signal: AbortSignal): Context => ({
    ...outer,
    signal,
    person: personOf(true, false),
    loginPerson: ({ browser, device }) => personOf(browser, device),
    notified: (server, notification) => {
      if (notification.method.endsWith('/list_changed')) completion.forget(server);
      screen.print(screen.shown(notificationText(server, notification)));
    },
  });
  const personOf = (browser: boolean, device: boolean) =>
    terminalInteraction({
      print: (line) => screen.print(line, true),
      open: browser ? openInBrowser : undefined,
      device,
      readLine: (question, signal) => prompt.ask(question, signal),
      symbol: screen.symbol,
    });

  // Ctrl-C ends the work at hand, and never the shell.
  async function interruptible<T>(work: (context: Context) => Promise<T>): Promise<T | undefined> {
    const stop = new AbortController();
    prompt.interrupted = () => stop.abort(new CountersignError('ABORTED', 'Cancelled.'));
    const signal = AbortSignal.any([outer.signal, stop.signal]);
    setMaxListeners(0, signal); // Every request of every server listens to it.
    try {
      const running = work(contextOf(signal));
      running.catch(() => undefined);
      return await Promise.race([running, rejection(signal)]);
    } catch (error) {
      screen.progress(undefined);
      if (stop.signal.aborted) screen.print('Cancelled.');
      else if (!outer.signal.aborted) tell(outer, error);
      return undefined;
    } finally {
      prompt.interrupted = undefined;
    }
  }

  try {
    await interruptible(welcome);
    for (;;) {
      const line = await prompt.line(outer.signal);
      if (line === undefined) break;
      if (line.trim() === '') continue;
      await history.add(screen.redact(line));
      if ((await interruptible((context) => runLine(context, line))) === 'quit') break;
    }
  } finally {
    screen.wrap = (write) => write();
    prompt.close();
  }
  return 0;
}

async function welcome(context: Context): Promise<void> {
  const { screen } = context;
  const rows = await connectAll(context, []);
  screen.print(
    connectedLine(
      context,
      rows.filter(({ state }) => state === 'ready').map(({ name }) => name),
    ),
  );
  for (const { name, error } of rows)
    if (error) screen.print(errorText(screen, error, `failed ${screen.shown(name)}:`, onStdout(screen)));
  screen.print('Type /help for the commands, /quit to end.');
}

const onStdout = (screen: Screen) => ({
  lead: (text: string) => screen.style('red', text),
  remedy: (text: string) => screen.style('dim', text),
});

function tell({ screen, debug, address }: Context, error: unknown): void {
  const found = failure(error, undefined, address);
  screen.print(errorText(screen, found, 'error', onStdout(screen)));
  if (debug.enabled && found.code !== 'USAGE' && error instanceof Error && error.stack)
    screen.print(screen.style('dim', screen.shown(error.stack)));
}

function rejection(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
}
