import Table from 'cli-table3';
import stringWidth from 'string-width';

const GAP = 2;
const NARROWEST = 7;

export interface TableOptions {
  /** Columns of the terminal; undefined: as wide as it gets. */
  readonly columns: number | undefined;
  /** Colours a heading; the cells come as they should look, colours apart. */
  readonly heading: (text: string) => string;
}

/** Rows under a heading, without borders, wrapped to fit. A terminal too narrow for columns gets a block of lines for each row. */
export function table(head: readonly string[], rows: readonly (readonly string[])[], options: TableOptions): string {
  const natural = head.map((title, column) =>
    Math.max(...[title, ...rows.map((row) => row[column] ?? '')].map(cellWidth)),
  );
  if (options.columns === undefined) return lines(head, rows, natural, options);
  const whole = head.map((title, column) =>
    Math.max(...[title, ...rows.map((row) => row[column] ?? '')].map(longestWord)),
  );
  const widths = fit(natural, whole, options.columns);
  if (!widths) return blocks(head, rows, options);
  const layout = new Table({
    head: head.map((title, column) => options.heading(broken(title, widths[column] ?? 1))),
    colWidths: widths.map((width, column) => width + (column < widths.length - 1 ? GAP : 0)),
    wordWrap: true,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0, compact: true },
    chars: NO_BORDERS,
  });
  for (const row of rows) layout.push(head.map((_, column) => broken(row[column] ?? '', widths[column] ?? 1)));
  return trimmed(layout.toString());
}

const NO_BORDERS = Object.fromEntries(
  [
    'top',
    'top-mid',
    'top-left',
    'top-right',
    'bottom',
    'bottom-mid',
    'bottom-left',
    'bottom-right',
    'left',
    'left-mid',
    'mid',
    'mid-mid',
    'right',
    'right-mid',
    'middle',
  ].map((part) => [part, '']),
);

const cellWidth = (cell: string): number => (/^[ -~]*$/.test(cell) ? cell.length : stringWidth(cell));

// A long word may go on in the next line behind a slash, or a hyphen between letters.
const PIECES = /(?<=\/|[a-z]-(?=[a-z]))/i;
const longestWord = (cell: string): number =>
  Math.max(
    ...cell
      .split(/\s+/)
      .flatMap((word) => word.split(PIECES))
      .map(cellWidth),
  );

// The widest columns give first: the largest common limit under which all fit. Words are broken only where they can't be kept whole.
function fit(natural: readonly number[], whole: readonly number[], columns: number): number[] | undefined {
  const available = columns - GAP * (natural.length - 1);
  const spare = available - whole.reduce((sum, width) => sum + width, 0);
  if (spare >= 0) return shared(natural, whole, spare);
  const total = (limit: number): number => natural.reduce((sum, width) => sum + Math.min(width, limit), 0);
  let limit = Math.max(...natural);
  while (limit > NARROWEST && total(limit) > available) limit--;
  if (total(limit) > available) return undefined;
  const widths = natural.map((width) => Math.min(width, limit));
  for (let spare = available - total(limit), column = 0; spare > 0 && column < widths.length; column++) {
    if ((natural[column] ?? 0) > limit) {
      widths[column] = limit + 1;
      spare--;
    }
  }
  return widths;
}

// Gives each column its longest word, and what is left to those that want more, the smallest wish first.
function shared(natural: readonly number[], whole: readonly number[], spare: number): number[] {
  const widths = [...whole];
  const wish = (column: number): number => (natural[column] ?? 0) - (whole[column] ?? 0);
  const columns = widths.map((_, column) => column).sort((a, b) => wish(a) - wish(b));
  columns.forEach((column, index) => {
    const more =
      wish(column) <= spare / 2 ? wish(column) : Math.min(wish(column), Math.floor(spare / (columns.length - index)));
    widths[column] = (widths[column] ?? 0) + more;
    spare -= more;
  });
  return widths;
}

// cli-table3 wraps at spaces and cuts a word that is longer than its column: here such a word goes on in the next line.
function broken(cell: string, width: number): string {
  return cell.replace(/\S+/g, (word) => {
    if (stringWidth(word) <= width || word.includes('\x1b')) return word;
    const lines = [''];
    const add = (part: string): void => {
      const line = lines[lines.length - 1] ?? '';
      if (line !== '' && stringWidth(line + part) > width) lines.push(part);
      else lines[lines.length - 1] = line + part;
    };
    for (const piece of word.split(PIECES)) {
      if (stringWidth(piece) <= width) add(piece);
      else for (const { segment } of new Intl.Segmenter().segment(piece)) add(segment);
    }
    return lines.join('\n');
  });
}

// Without a terminal: one line for each row, of any length.
function lines(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  widths: readonly number[],
  { heading }: TableOptions,
): string {
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - cellWidth(cell) + GAP))
      .join('')
      .trimEnd();
  return [heading(line(head)), ...rows.map((row) => line(head.map((_, column) => row[column] ?? '')))].join('\n');
}

function blocks(head: readonly string[], rows: readonly (readonly string[])[], { heading }: TableOptions): string {
  return rows
    .map((row) => head.flatMap((title, column) => (row[column] ? [`${heading(title)} ${row[column]}`] : [])).join('\n'))
    .join('\n\n');
}

const trimmed = (text: string): string =>
  text
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
