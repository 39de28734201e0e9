import type { ChildProcess } from 'node:child_process';

/** Milliseconds in which an opener that can't open anything usually says so. */
const SOON = 1500;

/**
 * Opens the URL with the system's opener (argv, no shell), and answers whether it seems to have worked:
 * false when there is no opener or it fails at once. An opener that stays is left alone: it may be the browser itself.
 */
export async function openInBrowser(url: URL): Promise<boolean> {
  const { default: open } = await import('open');
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, SOON, true);
  });
  const opened = open(url.href).then(exitedWell, () => false);
  return Promise.race([opened, patience]).finally(() => clearTimeout(timer));
}

function exitedWell(child: ChildProcess): Promise<boolean> {
  if (child.exitCode !== null) return Promise.resolve(child.exitCode === 0);
  return new Promise((resolve) => {
    child.once('error', () => resolve(false));
    child.once('exit', (code) => resolve(code === 0));
  });
}
