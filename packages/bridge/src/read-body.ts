import type { Readable } from 'node:stream';
import { CountersignError, findCountersignError } from '@countersign/core';
import { Gather } from './gather.js';
import type { Output } from './output.js';

export interface ReadOptions {
  readonly signal: AbortSignal;
  /** Milliseconds without a byte after which the connection counts as lost. */
  readonly idle?: number | undefined;
}

/**
 * Hands a body's chunks on, no faster than the client takes what they hold. Resolves at its end; rejects, with the body destroyed, when the
 * connection is lost, the signal aborts, nothing comes for `idle`, or `chunk` throws.
 */
export function readBody(
  body: Readable,
  output: Output,
  chunk: (bytes: Buffer) => void,
  { signal, idle }: ReadOptions,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    const settle = (error?: Error): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      body.removeListener('data', onData);
      body.removeListener('close', onClose);
      output.release(body);
      if (error === undefined) return resolve();
      body.destroy();
      reject(error);
    };
    const onAbort = (): void => settle(reasonOf(signal));
    const onClose = (): void => settle(lost());
    const onIdle = (): void => {
      if (body.isPaused()) timer?.refresh();
      else settle(new CountersignError('TIMEOUT', `The server sent nothing for ${idle! / 1000} seconds.`));
    };
    const onData = (bytes: Buffer): void => {
      timer?.refresh();
      try {
        chunk(bytes);
      } catch (error) {
        return settle(error as Error);
      }
      if (output.full) output.hold(body);
    };
    body.on('error', (error) => settle(findCountersignError(error) ?? lost(error)));
    if (signal.aborted) return onAbort();
    if (idle !== undefined) timer = setTimeout(onIdle, idle).unref();
    signal.addEventListener('abort', onAbort);
    body.on('end', () => settle());
    body.on('close', onClose);
    body.on('data', onData);
  });
}

function lost(cause?: unknown): CountersignError {
  return new CountersignError('UNREACHABLE', 'The connection was lost before the answer was complete.', { cause });
}

function reasonOf({ reason }: AbortSignal): Error {
  return reason instanceof Error
    ? reason
    : new CountersignError('ABORTED', 'The request was given up.', { cause: reason });
}

/** At most `limit` bytes of a body, which is then let go: for the text of an error. Never rejects. */
export async function readSome(body: Readable, limit: number, output: Output, signal: AbortSignal): Promise<Buffer> {
  const text = new Gather();
  const enough = new Error();
  const wait = AbortSignal.any([signal, AbortSignal.timeout(5000)]);
  try {
    await readBody(
      body,
      output,
      (bytes) => {
        text.add(bytes);
        if (text.length > limit) throw enough;
      },
      { signal: wait },
    );
  } catch {
    // What came until then is what there is.
  }
  return text.take().subarray(0, limit);
}
