import { CountersignError } from '@countersign/core';
import type { Context } from '../context.js';
import { verbs, type Verb } from './verbs.js';
import { wordsOf } from './words.js';

/** Runs one line of the shell, and answers whether the shell goes on. Throws USAGE for a line that it doesn't know. */
export async function runLine(context: Context, line: string): Promise<'on' | 'quit'> {
  const [first = '', ...rest] = wordsOf(line);
  const name = first.replace(/^\//, '');
  if (name === 'quit' || name === 'exit') return 'quit';
  const verb = Object.hasOwn(verbs, name) ? verbs[name] : undefined;
  if (!verb)
    throw new CountersignError('USAGE', `There is no command ${JSON.stringify(first)}.`, {
      remedy: '/help lists the commands.',
    });
  const { words, options } = flagged(verb, rest);
  const servers = verb.server ? (await context.app()).servers.map((server) => server.name) : [];
  const [only] = servers;
  if (verb.server === 'each' && words.length === 0) await runEach(context, verb, servers, options);
  else if (verb.server === 'one' && only !== undefined && servers.length === 1 && !namesServer(verb, words, only))
    await verb.run(context, [only, ...words], options);
  else if (verb.server === 'one' && words.length === 0)
    throw new CountersignError('USAGE', `Which server? /${name} ${verb.usage}`, {
      remedy: `The servers are: ${servers.join(', ')}.`,
    });
  else await verb.run(context, words, options);
  return 'on';
}

/** Whether a line names a server though it could leave it out: the word behind those that the verb needs is none of its arguments. */
export function namesServer({ usage }: Pick<Verb, 'usage'>, words: readonly string[], only: string): boolean {
  const needed = usage.split(' ').filter((word) => /^[A-Z]+$/.test(word)).length - 1;
  const next = words[needed];
  return words[0] === only || (next !== undefined && !/^[\w.-]+:?=|^[{-]/.test(next));
}

// One server's failure is told, and the next one's turn comes.
async function runEach(
  context: Context,
  verb: Verb,
  servers: readonly string[],
  options: Record<string, boolean>,
): Promise<void> {
  const failures: unknown[] = [];
  for (const server of servers) {
    if (servers.length > 1) context.screen.print(context.screen.style('bold', context.screen.shown(server)));
    await verb.run(context, [server], options).catch((error: unknown) => {
      if (context.signal.aborted) throw error;
      failures.push(error);
      context.screen.print(`  ${context.screen.shown(error instanceof Error ? error.message : String(error))}`);
    });
  }
  if (servers.length === 1 && failures.length === 1) throw failures[0];
}

function flagged(verb: Verb, rest: readonly string[]): { words: string[]; options: Record<string, boolean> } {
  const words: string[] = [];
  const options: Record<string, boolean> = {};
  for (const word of rest) {
    const flag = verb.flags && Object.hasOwn(verb.flags, word) ? verb.flags[word] : undefined;
    if (flag) options[flag[0]] = flag[1];
    else if (verb.flags && word.startsWith('--'))
      throw new CountersignError('USAGE', `${word} is not an option of this command.`, {
        remedy: '/help shows the options.',
      });
    else words.push(word);
  }
  return { words, options };
}
