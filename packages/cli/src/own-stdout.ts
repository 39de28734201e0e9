import type { Sink } from './screen.js';

/** stdout, kept for results: what anybody else writes there, a plugin with its console.log, goes to stderr. */
export interface OwnStdout extends Sink {
  /** Who wrote there: names of packages, or of files outside of any. */
  readonly strangers: ReadonlySet<string>;
  /** Resolves when everything is written. */
  readonly flush: () => Promise<void>;
  /** Gives it back: the shell's line editor needs the stream itself. */
  readonly release: () => void;
  /** True once it is given back: a shell is running. */
  readonly released: boolean;
}

/** Takes stdout for the caller alone. */
export function ownStdout(target: Pick<NodeJS.Process, 'stdout' | 'stderr'>): OwnStdout {
  const { stdout, stderr } = target;
  const original = stdout.write; // eslint-disable-line @typescript-eslint/unbound-method -- called on stdout below, and put back as it was
  const write = original.bind(stdout);
  const strangers = new Set<string>();
  let released = false;
  stdout.write = ((...args: Parameters<typeof stdout.write>) => {
    strangers.add(strangerIn(new Error().stack ?? ''));
    return stderr.write(...args);
  }) as typeof stdout.write;
  return {
    write: (text) => write(text),
    isTTY: stdout.isTTY,
    get columns() {
      return stdout.columns;
    },
    strangers,
    flush: () => new Promise((resolve) => write('', () => resolve())),
    release: () => {
      stdout.write = original;
      released = true;
    },
    get released() {
      return released;
    },
  };
}

/** The package, or else the file, that a stack trace first names beside this bundle and Node itself. */
export function strangerIn(stack: string): string {
  for (const [, place = ''] of stack.matchAll(/(?:\(|at )((?:file:\/\/)?[^()\n]+?):\d+:\d+\)?$/gm)) {
    if (place.startsWith('node:') || place === ownFile) continue;
    return (
      /.*[/\\]node_modules[/\\]((?:@[^/\\]+[/\\])?[^/\\]+)/.exec(place)?.[1]?.replace('\\', '/') ??
      place.replace(/^file:\/\//, '')
    );
  }
  return 'a library';
}

const ownFile = import.meta.url;
