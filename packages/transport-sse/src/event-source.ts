import {
  CountersignError,
  discard,
  lastEventIdField,
  readEvents,
  refusedResponse,
  type ServerSentEvent,
  type TransportServices,
} from '@countersign/core';

/** A stream that is open, and the endpoint that the server named on it. */
export interface OpenStream {
  readonly endpoint: URL;
  readonly events: AsyncIterable<ServerSentEvent>;
  /** The server was told the last event, so it may go on from there. */
  readonly resumed: boolean;
  /** Ends the stream, which fails with the error. */
  readonly drop: (error: CountersignError) => void;
}

export interface EventSourceOptions {
  readonly url: URL;
  readonly services: TransportServices;
  readonly maxLength: number;
  readonly signal: AbortSignal;
}

/** Opens the server's stream, again and again, from where it was cut. Each time is a request of its own, authorized anew. */
export class EventSource {
  /** Milliseconds that the server wants between two attempts. */
  retry: number | undefined;
  readonly #options: EventSourceOptions;
  #lastEventId: string | undefined;

  constructor(options: EventSourceOptions) {
    this.#options = options;
  }

  /** Resolves when the server has named its endpoint. Throws what the exchange throws; SERVER_ERROR for another answer than a stream, FOREIGN_ORIGIN for another server's endpoint. */
  async open(onEvent: (event: ServerSentEvent) => void): Promise<OpenStream> {
    const { url, services, maxLength, signal } = this.#options;
    const { name } = services.server;
    const lastEventId = lastEventIdField(this.#lastEventId);
    const headers = Object.entries({ accept: 'text/event-stream', ...lastEventId });
    const response = await services.exchange({ method: 'GET', url, headers }, signal);
    if (response.status < 200 || response.status > 299) throw await refusedResponse(response, 'GET', services);
    if (!response.headers.get('content-type')?.toLowerCase().startsWith('text/event-stream')) {
      discard(response.body);
      throw new CountersignError('SERVER_ERROR', `Server ${name} answered GET without a stream of events.`, {
        server: name,
        status: response.status,
      });
    }
    const events = this.#remembering(readEvents(response.body, { maxLength, onRetry: (ms) => (this.retry = ms) }));
    const drop = (error: CountersignError): void => void response.body.destroy(error);
    const late = new CountersignError(
      'TIMEOUT',
      `Server ${name} named no endpoint within ${services.timeouts.request / 1000} s.`,
      { server: name },
    );
    const timer = setTimeout(() => drop(late), services.timeouts.request);
    try {
      for (;;) {
        const { done, value } = await events.next();
        if (done)
          throw new CountersignError('UNREACHABLE', `Server ${name} ended its stream before it named an endpoint.`, {
            server: name,
          });
        if (value.event === 'endpoint')
          return {
            endpoint: endpointOf(value.data, response.url, name),
            events,
            resumed: 'last-event-id' in lastEventId,
            drop,
          };
        onEvent(value);
      }
    } catch (error) {
      response.body.destroy();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async *#remembering(events: AsyncIterable<ServerSentEvent>): AsyncGenerator<ServerSentEvent, void, undefined> {
    for await (const event of events) {
      if (event.id) this.#lastEventId = event.id;
      yield event;
    }
  }
}

/** The URL of an `endpoint` event. It must be of the server's own origin: everything that is sent there carries the credential. */
export function endpointOf(data: string, base: URL, server: string): URL {
  const endpoint = URL.canParse(data, base.href) ? new URL(data, base) : undefined;
  if (endpoint?.origin !== base.origin || endpoint.username || endpoint.password) {
    throw new CountersignError(
      'FOREIGN_ORIGIN',
      `Server ${server} named an endpoint that is not at ${base.origin}; nothing was sent there.`,
      { server },
    );
  }
  endpoint.hash = '';
  return endpoint;
}
