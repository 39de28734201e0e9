import type { CredentialStatus } from '@countersign/core';
import { connectAll, type ConnectionRow } from '../connect-all.js';
import type { Context, RunCommand } from '../context.js';
import { errorText } from '../error-text.js';
import { exitCodeOfAll } from '../exit-code.js';
import { fromNow } from '../identity.js';
import { printTable } from '../print-table.js';

/** `connections [server…]`: connects to the servers, all of them by default, and shows a row for each. One that fails stops no other. */
export const run: RunCommand = async (context, names) => {
  const { screen } = context;
  const rows = await connectAll(context, names);
  const ready = rows.filter(({ state }) => state === 'ready').map(({ name }) => name);
  if (screen.json) {
    screen.document({ servers: rows });
  } else {
    if (ready.length > 0) screen.note(connectedLine(context, ready));
    printConnections(context, rows);
  }
  return exitCodeOfAll(rows.flatMap(({ error }) => (error ? [error.code] : [])));
};

/** "Connected to 2 MCP servers: orders, search", under the name of the program. */
export function connectedLine({ screen }: Pick<Context, 'screen'>, names: readonly string[]): string {
  return `${screen.symbol('🚀')}Countersign\nConnected to ${names.length} MCP server${names.length === 1 ? '' : 's'}${names.length === 0 ? '' : `: ${names.join(', ')}`}`;
}

/** Prints the table, and under it what failed and what mends it. */
export function printConnections({ screen }: Context, rows: readonly ConnectionRow[]): void {
  if (rows.length === 0) return screen.print('The configuration has no servers.');
  const colors = { ready: 'green', login_required: 'yellow', failed: 'red' } as const;
  const stateColumn = 3;
  printTable(
    screen,
    ['NAME', 'TRANSPORT', 'AUTH', 'STATE', 'PROTOCOL', 'TOOLS/RES/PROMPTS', 'LATENCY', 'CREDENTIAL'],
    rows.map((row) => [
      row.name,
      row.transport,
      row.auth.join(', ') || 'none',
      row.state.replace('_', ' '),
      row.protocol ?? '-',
      row.state === 'ready' ? `${row.tools}/${row.resources}/${row.prompts}` : '-',
      row.latencyMs === null ? '-' : `${row.latencyMs} ms`,
      credentialText(row.credential),
    ]),
    (cell, column) =>
      column === stateColumn
        ? screen.style(colors[cell.replace(' ', '_') as keyof typeof colors] ?? 'reset', cell)
        : cell,
  );
  for (const { name, error } of rows)
    if (error)
      screen.print(
        `\n${errorText(screen, error, `${screen.shown(name)}:`, {
          lead: (text) => screen.style('bold', text),
          remedy: (text) => screen.style('dim', text),
        })}`,
      );
}

function credentialText(credential: CredentialStatus | null): string {
  if (!credential) return '-';
  const { source, principal, expiresAt } = credential;
  const expiry =
    expiresAt &&
    (expiresAt.getTime() < Date.now()
      ? `expired ${fromNow(expiresAt, Date.now())}`
      : `expires ${fromNow(expiresAt, Date.now())}`);
  return [source, principal, expiry].filter(Boolean).join(', ') || '-';
}
