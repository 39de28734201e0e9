import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
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
  /** Takes the server's `retry` field: milliseconds to wait before a reconnect. */
  readonly onRetry?: (milliseconds: number) => void;
}

/**
 * Reads events as they come; an event that the stream's end cuts off is dropped, as the standard says. Leaving the loop destroys the body.
 * Throws TOO_LARGE for an event beyond `maxLength`, and whatever the body fails with.
 */
export async function* readEvents(
  body: Readable,
  options: EventStreamOptions,
): AsyncGenerator<ServerSentEvent, void, undefined> {
  const decoder = new StringDecoder('utf8'); // a TextDecoder costs ten times as much
  let start = true;
  let events: ServerSentEvent[] = [];
  let failure: CountersignError | undefined;
  const parser = createParser({
    maxBufferSize: options.maxLength,
    onEvent: ({ id, event, data }) => events.push({ id, event, data }),
    onError: ({ type }) => {
      if (type !== 'max-buffer-size-exceeded') return; // an unknown field, a retry that is no number: passed over, as the standard says
      failure = new CountersignError(
        'TOO_LARGE',
        `An event of the stream is longer than ${options.maxLength} characters.`,
      );
    },
    ...(options.onRetry ? { onRetry: options.onRetry } : {}),
  });
  for await (const chunk of body as AsyncIterable<Buffer>) {
    let text = decoder.write(chunk);
    if (start && text) {
      if (text.startsWith('\uFEFF')) text = text.slice(1);
      start = false;
    }
    parser.feed(text);
    const arrived = events;
    events = [];
    yield* arrived;
    if (failure) throw failure;
  }
}
