import type { RunCommand } from '../context.js';
import { listAll } from '../list-all.js';
import { printTable } from '../print-table.js';
import type { Prompt } from '../protocol.js';
import { withSession } from '../sessions.js';

/** `prompts SERVER`: the server's prompts, with their arguments. */
export const run: RunCommand = async (context, [server = '']) => {
  const { screen, signal } = context;
  const { result, items } = await withSession(context, server, (connection) =>
    listAll<Prompt>(connection, 'prompts/list', 'prompts', { signal }),
  );
  if (screen.json) screen.document(result);
  else if (items.length === 0) screen.print('The server has no prompts.');
  else
    printTable(
      screen,
      ['PROMPT', 'ARGUMENTS', 'DESCRIPTION'],
      items.map((prompt) => [prompt.name, argumentsOf(prompt), prompt.description ?? prompt.title ?? '']),
    );
  return 0;
};

const argumentsOf = (prompt: Prompt): string =>
  (prompt.arguments ?? []).map(({ name, required }) => (required ? name : `${name}?`)).join(', ');
