import type { Screen } from './screen.js';
import { table } from './table.js';

/** Prints a table of text that others wrote: each cell is made safe, and paragraphs become one. */
export function printTable(
  screen: Screen,
  head: readonly string[],
  rows: readonly (readonly string[])[],
  paint: (cell: string, column: number) => string = (cell) => cell,
): void {
  const cells = rows.map((row) =>
    row.map((cell, column) => paint(screen.shown(cell.trim().replace(/\s+/g, ' ')), column)),
  );
  screen.print(table(head, cells, { columns: screen.columns, heading: (title) => screen.style('bold', title) }));
}
