import { isCountersignError } from './errors.js';

const FIRST_DELAY = 1_000; // milliseconds, unless the server names another
const SHORTEST_DELAY = 100; // whatever it names
const LONGEST_DELAY = 30_000;

/** Milliseconds before a stream is opened again: the server's `retry` or a second, twice as long after each failure in a row. */
export function reconnectDelay(failures: number, retry = FIRST_DELAY): number {
  return Math.min(Math.max(retry, SHORTEST_DELAY) * 2 ** Math.max(0, failures - 1), LONGEST_DELAY);
}

/** True for an error after which the same request may succeed a little later: the network's, a busy or failing server's. */
export function isPassing(error: unknown): boolean {
  if (!isCountersignError(error)) return true;
  return ['UNREACHABLE', 'TIMEOUT', 'RATE_LIMITED'].includes(error.code) || (error.status ?? 0) >= 500;
}

/** The Last-Event-ID field for an event's id: its UTF-8 bytes (HTML Standard 9.2.4). None for an id that a header can't carry. */
export function lastEventIdField(id: string | undefined): Record<string, string> {
  // A header carries no control character but the tab; C1 stands for bytes of UTF-8 here.
  if (!id || /[^\P{Cc}\t\u0080-\u009f]/u.test(id)) return {};
  return { 'last-event-id': Buffer.from(id, 'utf8').toString('latin1') };
}
