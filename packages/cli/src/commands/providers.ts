import type { RunCommand } from '../context.js';
import { printTable } from '../print-table.js';

/** `providers`: installed providers, transports and stores, with the variables that they compute and the options that they take. */
export const run: RunCommand = async (context) => {
  const { screen } = context;
  const installed = (await context.app(true)).installed();
  if (screen.json) {
    screen.document(installed);
    return 0;
  }
  printTable(
    screen,
    ['AUTH METHOD', 'STAGE', 'VARIABLES', 'OPTIONS'],
    installed.auth.map(({ type, stage, variables, signatures, options }) => [
      type,
      stage,
      [...variables, ...signatures].join(', '),
      optionNames(options),
    ]),
  );
  screen.print('');
  printTable(
    screen,
    ['TRANSPORT', 'FIELDS'],
    installed.transports.map(({ type, options }) => [type, optionNames(options)]),
  );
  screen.print('');
  printTable(
    screen,
    ['STORE'],
    installed.stores.map(({ description }) => [description]),
  );
  return 0;
};

function optionNames(schema: Readonly<Record<string, unknown>>): string {
  const { properties } = schema as { properties?: Record<string, unknown> };
  return Object.keys(properties ?? {}).join(', ');
}
