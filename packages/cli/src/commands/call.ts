import type { Progress } from '@modelcontextprotocol/sdk/types.js';
import { callArguments, type ArgumentSchema } from '../call-arguments.js';
import type { Context, RunCommand } from '../context.js';
import { EXIT } from '../exit-code.js';
import { listAll } from '../list-all.js';
import type { CallResult, Tool } from '../protocol.js';
import { callText } from '../result-text.js';
import { request, withSession } from '../sessions.js';

/** `call SERVER TOOL [key=value… | JSON | -]`: calls a tool. A result with `isError` is exit 5. */
export const run: RunCommand = async (context, [server = '', tool = '', ...words]) => {
  const values = await callArguments(words, {
    readInput: context.readInput,
    schema: () => inputSchema(context, server, tool),
  });
  const result = await request<CallResult>(
    context,
    server,
    'tools/call',
    { name: tool, arguments: values },
    // Asking for progress lets the server say that it is still at work, which counts the timeout anew.
    { onprogress: (progress) => context.screen.progress(context.screen.shown(progressText(tool, progress))) },
  );
  context.screen.progress(undefined);
  if (context.screen.json) context.screen.document(result);
  else context.screen.print(context.screen.shown(callText(result)));
  return result.isError === true ? EXIT.serverError : EXIT.done;
};

function progressText(tool: string, { progress, total, message }: Progress): string {
  return `${tool}: ${progress}${total === undefined ? '' : ` of ${total}`}${message === undefined ? '' : `, ${message}`}`;
}

async function inputSchema(context: Context, server: string, tool: string): Promise<ArgumentSchema | undefined> {
  const { items } = await withSession(context, server, (connection) =>
    listAll<Tool>(connection, 'tools/list', 'tools', { signal: context.signal }),
  );
  return items.find(({ name }) => name === tool)?.inputSchema;
}
