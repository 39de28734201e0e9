import type { RunCommand } from '../context.js';
import { listAll } from '../list-all.js';
import { printTable } from '../print-table.js';
import type { Resource } from '../protocol.js';
import { withSession } from '../sessions.js';

/** `resources SERVER`: the server's resources, and for a person its templates of resources too. */
export const run: RunCommand = async (context, [server = '']) => {
  const { screen, signal } = context;
  const { result, items } = await withSession(context, server, (connection) =>
    listAll<Resource>(connection, 'resources/list', 'resources', { signal }),
  );
  if (screen.json) {
    screen.document(result);
    return 0;
  }
  const templates = await withSession(context, server, (connection) =>
    listAll<Resource>(connection, 'resources/templates/list', 'resourceTemplates', { signal }),
  ).then(
    (answer) => answer.items,
    () => [], // Optional in the protocol: a server without templates may not know the method.
  );
  const rows = [...items, ...templates].map(({ uri, uriTemplate, name, mimeType, description }) => [
    uri ?? uriTemplate ?? '',
    name ?? '',
    mimeType ?? '',
    description ?? '',
  ]);
  if (rows.length === 0) screen.print('The server has no resources.');
  else printTable(screen, ['URI', 'NAME', 'TYPE', 'DESCRIPTION'], rows);
  return 0;
};
