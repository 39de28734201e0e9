import { CountersignError } from '@countersign/core';
import { connectAll } from '../connect-all.js';
import type { Context, RunCommand } from '../context.js';
import { printConnections } from '../commands/connections.js';
import { wrapped } from '../error-text.js';
import { endSession, request } from '../sessions.js';

/** A command of the shell: `/call SERVER TOOL …`. */
export interface Verb {
  readonly usage: string;
  readonly does: string;
  readonly run: RunCommand;
  /** The first word names a server; it may be left out where only one is configured, and with `each` in any case. */
  readonly server?: 'one' | 'each' | 'list';
  /** What the word after the server names, for completion. */
  readonly completes?: 'tools' | 'resources' | 'prompts';
  /** Options by flag, and what they set. */
  readonly flags?: Readonly<Record<string, readonly [option: string, value: boolean]>>;
}

const lazily =
  (load: () => Promise<{ run: RunCommand }>): RunCommand =>
  async (...all) =>
    (await load()).run(...all);

/** The shell's commands by name, in the order that /help shows. */
export const verbs: Readonly<Record<string, Verb>> = {
  help: { usage: '', does: 'this list', run: help },
  connections: {
    usage: '[SERVER…]',
    does: 'the servers, and how the connection to each is',
    server: 'list',
    run: connections,
  },
  refresh: {
    usage: '[SERVER]',
    does: 'drop the session and the cached access token, connect again, list anew',
    server: 'list',
    run: refresh,
  },
  debug: { usage: '', does: 'turn the log of authentication on or off', run: debug },
  tools: { usage: '[SERVER]', does: 'the tools', server: 'each', run: lazily(() => import('../commands/tools.js')) },
  call: {
    usage: 'SERVER TOOL [key=value… | JSON]',
    does: 'call a tool; Ctrl-C cancels it',
    server: 'one',
    completes: 'tools',
    run: lazily(() => import('../commands/call.js')),
  },
  resources: {
    usage: '[SERVER]',
    does: 'the resources',
    server: 'each',
    run: lazily(() => import('../commands/resources.js')),
  },
  read: {
    usage: 'SERVER URI',
    does: 'read a resource',
    server: 'one',
    completes: 'resources',
    run: lazily(() => import('../commands/read.js')),
  },
  subscribe: {
    usage: 'SERVER URI',
    does: 'be told when a resource changes',
    server: 'one',
    completes: 'resources',
    run: subscription('resources/subscribe', 'Subscribed to'),
  },
  unsubscribe: {
    usage: 'SERVER URI',
    does: 'be told no more',
    server: 'one',
    completes: 'resources',
    run: subscription('resources/unsubscribe', 'No longer subscribed to'),
  },
  prompts: {
    usage: '[SERVER]',
    does: 'the prompts',
    server: 'each',
    run: lazily(() => import('../commands/prompts.js')),
  },
  prompt: {
    usage: 'SERVER PROMPT [key=value…]',
    does: 'get a prompt',
    server: 'one',
    completes: 'prompts',
    run: lazily(() => import('../commands/prompt.js')),
  },
  login: {
    usage: 'SERVER [--no-browser] [--device]',
    does: 'sign in',
    server: 'one',
    flags: { '--no-browser': ['browser', false], '--device': ['device', true] },
    run: lazily(() => import('../commands/login.js')),
  },
  logout: {
    usage: 'SERVER',
    does: 'forget the sign-in',
    server: 'one',
    run: lazily(() => import('../commands/logout.js')),
  },
  whoami: {
    usage: '[SERVER]',
    does: 'who the credential is',
    server: 'list',
    run: lazily(() => import('../commands/whoami.js')),
  },
  headers: {
    usage: 'SERVER [--reveal] [--curl]',
    does: 'the headers that a request carries now',
    server: 'one',
    flags: { '--reveal': ['reveal', true], '--curl': ['curl', true] },
    run: lazily(() => import('../commands/headers.js')),
  },
  quit: { usage: '', does: 'end', run: async () => 0 },
};

async function help({ screen }: Context): Promise<number> {
  const lines = Object.entries(verbs).map(([name, { usage, does }]) => [`/${name} ${usage}`.trim(), does] as const);
  const width = Math.max(...lines.map(([usage]) => usage.length));
  const room = screen.columns && screen.columns - width - 4;
  for (const [usage, does] of lines)
    screen.print(
      `  ${screen.style('cyan', usage.padEnd(width))}  ${wrapped(does, room).replaceAll('\n', `\n${' '.repeat(width + 4)}`)}`,
    );
  return 0;
}

async function connections(context: Context, names: readonly string[]): Promise<number> {
  printConnections(context, await connectAll(context, names));
  return 0;
}

async function debug({ screen, debug: shown }: Context): Promise<number> {
  shown.enabled = !shown.enabled;
  screen.print(`Debug mode ${shown.enabled ? 'enabled' : 'disabled'}`);
  return 0;
}

async function refresh(context: Context, names: readonly string[]): Promise<number> {
  const app = await context.app();
  const chosen = names.length > 0 ? names : app.servers.map(({ name }) => name);
  await Promise.all(
    chosen.map(async (name) => {
      await endSession(context, name);
      await app.refresh(name);
    }),
  );
  printConnections(context, await connectAll(context, names));
  return 0;
}

function subscription(method: string, done: string): RunCommand {
  return async (context, [server = '', uri]) => {
    if (uri === undefined)
      throw new CountersignError('USAGE', 'Which resource?', { remedy: 'Name its URI; /resources lists them.' });
    await request(context, server, method, { uri });
    context.screen.print(`${done} ${context.screen.shown(uri)}`);
    return 0;
  };
}
