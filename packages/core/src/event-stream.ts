import { createParser } from 'eventsource-parser';
import { CountersignError } from './errors.js';

/** One event of a `text/event-stream` (HTML Standard 9.2). */
export interface ServerSentEvent {
  readonly id: string | undefined;
  /** The event's type; undefined is "message". */
  readonly event: string | undefined;
  readonly data: string;
}

export interface EventStreamOptions {
  /** The longest event, in characters. */
  readonly maxLength: number;
  /** Milliseconds without a byte after which the connection counts as lost. */
  readonly idle?: number | undefined;
  /** Takes the server's `retry` field: milliseconds to wait before a reconnect. */
  readonly onRetry?: (milliseconds: number) => void;
}

/**
 * Reads events as they come; an event that the stream's end cuts off is dropped, as the standard says. Leaving the loop cancels the body.
 * Throws TOO_LARGE for an event beyond `maxLength`, TIMEOUT after `idle`, and whatever the body fails with.
 */
export async function* readEvents(
  body: ReadableStream<Uint8Array>,
  options: EventStreamOptions,
): AsyncGenerator<ServerSentEvent, void, undefined> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let events: ServerSentEvent[] = [];
  let failure: CountersignError | undefined;
  const fail = (error: CountersignError): void => {
    failure ??= error;
    reader.cancel(error).catch(() => {});
  };
  const parser = createParser({
    maxBufferSize: options.maxLength,
    onEvent: ({ id, event, data }) => events.push({ id, event, data }),
    onError: (error) => {
      if (error.type === 'max-buffer-size-exceeded')
        fail(
          new CountersignError('TOO_LARGE', `An event of the stream is longer than ${options.maxLength} characters.`),
        );
    },
    ...(options.onRetry ? { onRetry: options.onRetry } : {}),
  });
  const { idle } = options;
  const watch =
    idle === undefined
      ? undefined
      : setTimeout(() => fail(new CountersignError('TIMEOUT', `The stream was silent for ${idle / 1000} s.`)), idle);
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (!done) {
        watch?.refresh();
        parser.feed(decoder.decode(value, { stream: true }));
      }
      const arrived = events;
      events = [];
      yield* arrived;
      if (failure) throw failure;
      if (done) return;
    }
  } finally {
    clearTimeout(watch);
    reader.cancel().catch(() => {});
  }
}
