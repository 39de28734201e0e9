import { CountersignError, isPassing, reconnectDelay, type Clock, type ServerSentEvent } from '@countersign/core';
import type { EventSource, OpenStream } from './event-source.js';

export interface ConnectionOptions {
  readonly source: EventSource;
  readonly clock: Clock;
  readonly onEvent: (event: ServerSentEvent) => void;
  /** The stream is not the old one's continuation: another session. It is used when this resolves. */
  readonly onNewSession: (stream: OpenStream) => Promise<void>;
  /** The stream ended; it is opened again. */
  readonly onLost: (cause: unknown) => void;
  /** An attempt to open it again failed, and there will be another. What it answers is thrown to those that wait. */
  readonly onFailure: (cause: unknown) => CountersignError;
  /** The server refuses: there is no other attempt. */
  readonly onRefused: (error: CountersignError) => void;
}

/** Keeps a stream open: opens it again whenever it ends, until it is closed or the server refuses. */
export class Connection {
  readonly #options: ConnectionOptions;
  #stream: OpenStream | undefined;
  #endpoint: string | undefined;
  #next = waiting<OpenStream>();
  #failures = 0;
  #wake: (() => void) | undefined;
  #closed = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  /** Opens the stream for the first time. Throws what that fails with. */
  async open(): Promise<void> {
    const { source, onEvent } = this.#options;
    const stream = await source.open(onEvent);
    this.#endpoint = stream.endpoint.href;
    this.#use(stream);
    void this.#keep(this.#read(stream));
  }

  /** The open stream; while there is none, that of the next attempt, which is made at once. */
  stream(): Promise<OpenStream> {
    this.#wake?.();
    return this.#next.promise;
  }

  /** Gives up a stream that is dead without showing it. */
  drop(stream: OpenStream, error: CountersignError): void {
    if (this.#stream === stream) {
      this.#stream = undefined;
      this.#next = waiting();
    }
    stream.drop(error);
  }

  close(error: CountersignError): void {
    this.#closed = true;
    this.#stream?.drop(error);
    this.#next.reject(error);
    this.#wake?.();
  }

  #use(stream: OpenStream): void {
    this.#stream = stream;
    this.#failures = 0;
    this.#next.resolve(stream);
  }

  async #keep(reading: Promise<unknown>): Promise<void> {
    for (;;) {
      const cause = await reading;
      if (this.#closed) return;
      if (this.#stream) this.#next = waiting();
      this.#stream = undefined;
      this.#options.onLost(cause);
      const reopened = await this.#reopen();
      if (!reopened) return;
      reading = reopened.ended;
    }
  }

  /** Tries until a stream is open, and tells when it ends; undefined when there is no more to try. */
  async #reopen(): Promise<{ ended: Promise<unknown> } | undefined> {
    const { source, onEvent, onNewSession, onFailure, onRefused } = this.#options;
    for (;;) {
      let stream: OpenStream | undefined;
      try {
        await this.#pause();
        if (this.#closed) return undefined;
        stream = await source.open(onEvent);
        const ended = this.#read(stream); // the session's start is answered on it
        const continued = stream.resumed && stream.endpoint.href === this.#endpoint;
        if (!continued) await Promise.race([onNewSession(stream), ended.then(throwCause)]);
        this.#endpoint = stream.endpoint.href;
        this.#use(stream);
        return { ended };
      } catch (error) {
        stream?.drop(error as CountersignError);
        if (this.#closed) return undefined;
        if (!isPassing(error)) {
          onRefused(error as CountersignError);
          return undefined;
        }
        this.#failures++;
        const before = this.#next;
        this.#next = waiting();
        before.reject(onFailure(error));
      }
    }
  }

  /** Waits before an attempt; who wants to send ends the wait. */
  async #pause(): Promise<void> {
    const nap = new AbortController();
    this.#wake = () => nap.abort();
    await this.#options.clock
      .sleep(reconnectDelay(this.#failures, this.#options.source.retry), nap.signal)
      .catch(() => {});
    this.#wake = undefined;
  }

  /** Resolves with the reason when the stream ends. */
  async #read(stream: OpenStream): Promise<unknown> {
    try {
      for await (const event of stream.events) this.#options.onEvent(event);
      return undefined;
    } catch (error) {
      return error;
    }
  }
}

function throwCause(cause: unknown): never {
  throw cause instanceof Error ? cause : new CountersignError('UNREACHABLE', 'The stream was cut.');
}

interface Waiting<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

function waiting<T>(): Waiting<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<T>((...settle) => ([resolve, reject] = settle));
  promise.catch(() => {}); // perhaps nobody waits
  return { promise, resolve, reject };
}
