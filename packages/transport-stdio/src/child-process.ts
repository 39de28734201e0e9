import { execFile, type ChildProcess } from 'node:child_process';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';

// Together below the two seconds in which everything must be gone.
const PATIENCE = 600; // milliseconds from the end of stdin to SIGTERM, from there to SIGKILL, and from there on
const POLL = 20;

const running = new Set<number>();
const killAll = (): void => running.forEach((group) => signal(group, 'SIGKILL'));

/** Remembers a process group that must not outlive this process, even if that calls process.exit. */
export function watchGroup(group: number): void {
  if (running.size === 0) process.once('exit', killAll);
  running.add(group);
}

/** Ends a child and whatever it started: the end of its stdin, SIGTERM, SIGKILL, to the whole process group. Resolves when nothing is left, within two seconds. */
export async function endGroup(child: ChildProcess): Promise<void> {
  const group = child.pid;
  if (group === undefined) return;
  child.stdin?.end();
  // What a server left behind when it ended doesn't read stdin: no patience then.
  const gone = await within(hasExited(child) ? 0 : PATIENCE, () => !signal(group, 0));
  if (!gone && process.platform === 'win32') await endTree(group);
  else if (!gone) await endPosixGroup(group);
  running.delete(group);
  if (running.size === 0) process.off('exit', killAll);
}

async function endPosixGroup(group: number): Promise<void> {
  for (const name of ['SIGTERM', 'SIGKILL'] as const) {
    if (!signal(group, name) || (await within(PATIENCE, () => !signal(group, 0)))) return;
  }
}

/** Windows has no process groups: taskkill follows the tree from parent to child. */
function endTree(pid: number): Promise<void> {
  return new Promise((resolve) => {
    execFile('taskkill', ['/pid', String(pid), '/T', '/F'], { windowsHide: true, timeout: PATIENCE }, () => resolve());
  });
}

const hasExited = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;

/** Waits until `done`; false when the time (milliseconds) is over. */
async function within(time: number, done: () => boolean): Promise<boolean> {
  for (const end = Date.now() + time; !done(); await delay(POLL)) if (Date.now() >= end) return false;
  return true;
}

/** False when there is nobody to signal. */
function signal(group: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(process.platform === 'win32' ? group : -group, name);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'; // there, and another user's: it changed its identity
  }
}
