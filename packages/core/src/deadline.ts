import type { Readable } from 'node:stream';
import { CountersignError } from './errors.js';
import type { ExchangeResponse, ExchangeSettings } from './exchange.js';

export interface Deadline {
  readonly signal: AbortSignal;
  clear(): void;
  /** Answers the response, which is watched from here on. */
  hand(response: ExchangeResponse): ExchangeResponse;
}

/** Aborts a request at its deadline or with its caller; afterwards watches over the body until that has ended. */
export function startDeadline({ server, timeout, idle }: ExchangeSettings, parent: AbortSignal | undefined): Deadline {
  const controller = new AbortController();
  const late = (): void =>
    controller.abort(
      new CountersignError('TIMEOUT', `Server ${server.name} did not answer within ${timeout / 1000} s.`, {
        server: server.name,
      }),
    );
  const timer = setTimeout(late, timeout);
  const forward = (): void => controller.abort(parent?.reason);
  if (parent?.aborted) forward();
  else parent?.addEventListener('abort', forward, { once: true });
  const clear = (): void => {
    clearTimeout(timer);
    parent?.removeEventListener('abort', forward);
  };
  return {
    signal: controller.signal,
    clear,
    hand(response: ExchangeResponse): ExchangeResponse {
      const { body } = response;
      const stream = response.headers.get('content-type')?.toLowerCase().startsWith('text/event-stream') ?? false;
      if (stream) clearTimeout(timer);
      else timer.unref(); // an answer that nobody reads keeps no process alive
      if (stream && idle !== undefined) watchIdle(body, idle, server.name);
      if (body.closed || body.readableEnded) clear();
      else body.once('end', clear).once('close', clear);
      return response;
    },
  };
}

function watchIdle(body: Readable, idle: number, name: string): void {
  const timer = setTimeout(
    () =>
      body.destroy(
        new CountersignError('TIMEOUT', `Server ${name} sent nothing for ${idle / 1000} s.`, { server: name }),
      ),
    idle,
  );
  const push = body.push.bind(body);
  body.push = (chunk, encoding) => {
    timer.refresh(); // what arrives counts, not what the reader takes
    return push(chunk, encoding);
  };
  body.once('close', () => clearTimeout(timer)).once('end', () => clearTimeout(timer));
}
