import type { Context, RunCommand } from '../context.js';
import { listAll } from '../list-all.js';
import type { Tool } from '../protocol.js';
import { withSession } from '../sessions.js';
import { printTable } from '../print-table.js';

/** `tools SERVER`: the server's tools, with their arguments. */
export const run: RunCommand = async (context, [server = '']) => {
  const { result, items } = await withSession(context, server, (connection) =>
    listAll<Tool>(connection, 'tools/list', 'tools', { signal: context.signal }),
  );
  if (context.screen.json) context.screen.document(result);
  else print(context, items);
  return 0;
};

function print({ screen }: Context, tools: readonly Tool[]): void {
  if (tools.length === 0) return screen.print('The server has no tools.');
  printTable(
    screen,
    ['TOOL', 'ARGUMENTS', 'DESCRIPTION'],
    tools.map((tool) => [tool.name, argumentsOf(tool), tool.description ?? tool.title ?? '']),
  );
}

// `message, count?`: an optional one has a question mark.
function argumentsOf({ inputSchema }: Tool): string {
  const required = new Set(inputSchema?.required);
  return Object.keys(inputSchema?.properties ?? {})
    .map((name) => (required.has(name) ? name : `${name}?`))
    .join(', ');
}
