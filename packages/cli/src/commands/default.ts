import type { RunCommand } from '../context.js';
import { run as connections } from './connections.js';

/** `countersign` alone: the shell with a terminal, `connections` without. */
export const run: RunCommand = async (context, words, options) => {
  const { screen } = context;
  if (!screen.terminal || !process.stdin.isTTY || screen.json || context.options.nonInteractive)
    return connections(context, words, options);
  const { shell } = await import('../shell/shell.js');
  context.releaseOutput();
  return shell(context, { input: process.stdin, output: process.stdout });
};
