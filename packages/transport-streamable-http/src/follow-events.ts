import {
  CountersignError,
  isCountersignError,
  isPassing,
  readEvents,
  reconnectDelay,
  type Clock,
  type ExchangeResponse,
  type ServerSentEvent,
} from '@countersign/core';

export interface FollowedStream {
  /** The response whose stream is read first. */
  readonly response: ExchangeResponse;
  /** Opens the stream again, after the given event. */
  open(lastEventId: string | undefined): Promise<ExchangeResponse>;
  /** Asked when the stream ends: true if nothing more is expected. */
  done(): boolean;
  /** The event to go on from, if none comes. */
  readonly lastEventId?: string | undefined;
  /** Called with the id of each event that has one. */
  readonly onEventId?: ((id: string) => void) | undefined;
  /** Opens the stream again even when no event had an id: what comes on it stands alone. */
  readonly standalone: boolean;
  /** How often in a row opening may fail, or bring no event. */
  readonly attempts: number;
  readonly maxLength: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * Reads a stream of the streamable HTTP transport until nothing more is expected, and opens it again where it was cut (Resumability and Redelivery).
 * Throws UNREACHABLE when it cannot go on, with the reason as the cause; TOO_LARGE for an event beyond the cap; what `open` throws when it was refused.
 */
export async function* followEvents(stream: FollowedStream): AsyncGenerator<ServerSentEvent, void, undefined> {
  let { response, lastEventId } = stream;
  let retry: number | undefined;
  let failures = 0;
  for (;;) {
    let cause: unknown;
    try {
      for await (const event of readEvents(response.body, {
        maxLength: stream.maxLength,
        onRetry: (ms) => (retry = ms),
      })) {
        failures = 0;
        if (event.id) {
          lastEventId = event.id; // on its own: an absent callback would leave its argument unevaluated
          stream.onEventId?.(event.id);
        }
        yield event;
      }
    } catch (error) {
      if (isCountersignError(error, 'TOO_LARGE')) throw error;
      cause = error;
    }
    for (;;) {
      if (stream.done()) return;
      if (!(stream.standalone || lastEventId) || ++failures > stream.attempts)
        throw new CountersignError('UNREACHABLE', 'The stream was cut.', { cause });
      await stream.clock.sleep(reconnectDelay(failures, retry), stream.signal);
      try {
        response = await stream.open(lastEventId);
        break;
      } catch (error) {
        if (!isPassing(error)) throw error;
        cause = error;
      }
    }
  }
}
