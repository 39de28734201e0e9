import { styleText } from 'node:util';
import { visibleJson, visibleText } from '@countersign/core';

type Style = Parameters<typeof styleText>[0];

/** What the screen writes to: process.stdout and process.stderr, or a test's. */
export interface Sink {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

export interface ScreenOptions {
  readonly stdout: Sink;
  readonly stderr: Sink;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** False with --no-color. */
  readonly color: boolean;
  readonly json: boolean;
}

/** Everything that the command line writes. Results go to stdout, all else to stderr. */
export interface Screen {
  readonly json: boolean;
  /** True when a person sees the results. */
  readonly terminal: boolean;
  /** True when a person sees the progress. */
  readonly attended: boolean;
  /** Columns of the terminal; undefined where lines may have any length. */
  readonly columns: number | undefined;
  /** Hides the secrets that the instance knows; set once there is one. */
  redact: (text: string) => string;
  /** Stands around every write: the shell takes its prompt away and puts it back. */
  wrap: (write: () => void) => void;
  /** A line of the result, with the secrets in it hidden unless `reveal`. */
  print(text: string, reveal?: boolean): void;
  /** The one JSON document, with the secrets in its strings hidden unless `reveal`. */
  document(value: unknown, reveal?: boolean): void;
  /** A line for the person beside the result: nothing without a terminal. */
  note(text: string): void;
  /** A line on stderr, in any case. */
  warn(text: string, reveal?: boolean): void;
  /** What is under way, on a line that the next one replaces; undefined clears it. Nothing without a terminal. */
  progress(text: string | undefined): void;
  /** Colours a part of the result, where colours are shown. */
  style(style: Style, text: string): string;
  /** Colours a part of a line on stderr. */
  noteStyle(style: Style, text: string): string;
  /** The symbol with a space after it, or nothing where it can't be shown. */
  readonly symbol: (symbol: string) => string;
  /** Text that others wrote, safe to show: secrets hidden, control characters escaped. */
  shown(text: string): string;
}

/** A screen over two streams. Colours need a terminal, and neither --no-color, NO_COLOR nor TERM=dumb. */
export function createScreen({ stdout, stderr, env, color, json }: ScreenOptions): Screen {
  const colored = (sink: Sink): boolean => color && sink.isTTY === true && !env['NO_COLOR'] && env['TERM'] !== 'dumb';
  const painter = (sink: Sink) => (style: Style, text: string) => (colored(sink) ? paint(style, text) : text);
  const symbols = showsSymbols(env);
  let progressShown = false;

  const clear = (): void => {
    if (progressShown) stderr.write('\r\x1b[K');
    progressShown = false;
  };
  const screen: Screen = {
    json,
    terminal: stdout.isTTY === true,
    attended: stderr.isTTY === true,
    get columns() {
      return stdout.isTTY === true ? stdout.columns || 80 : undefined;
    },
    redact: (text) => text,
    wrap: (write) => write(),
    print(text, reveal = false) {
      clear();
      screen.wrap(() => stdout.write(`${reveal ? text : screen.redact(text)}\n`));
    },
    document(value, reveal = false) {
      clear();
      const redacted = reveal ? value : mapStrings(value, screen.redact);
      stdout.write(`${visibleJson(JSON.stringify(redacted, null, 2))}\n`);
    },
    note(text) {
      if (stderr.isTTY === true) screen.warn(text);
    },
    warn(text, reveal = false) {
      clear();
      screen.wrap(() => stderr.write(`${reveal ? text : screen.redact(text)}\n`));
    },
    progress(text) {
      if (stderr.isTTY !== true || env['TERM'] === 'dumb') return;
      clear();
      if (text === undefined) return;
      stderr.write(text.slice(0, (stderr.columns || 80) - 1));
      progressShown = true;
    },
    style: painter(stdout),
    noteStyle: painter(stderr),
    symbol: (symbol) => (symbols ? `${symbol} ` : ''),
    shown: (text) => visibleText(screen.redact(text)),
  };
  return screen;
}

function paint(style: Style, text: string): string {
  // From Node 22 on styleText looks at process.stdout by itself, unless told not to.
  const styled = styleText as (style: Style, text: string, options: { validateStream: boolean }) => string;
  return styled(style, text, { validateStream: false });
}

// A console without Unicode, or a locale that says so; an unset locale says nothing.
function showsSymbols(env: ScreenOptions['env']): boolean {
  if (env['TERM'] === 'dumb' || env['TERM'] === 'linux') return false;
  const locale = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'];
  return !locale || /utf-?8/i.test(locale);
}

function mapStrings(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === 'string') return change(value);
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map((entry) => mapStrings(entry, change));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [change(key), mapStrings(entry, change)]));
}
