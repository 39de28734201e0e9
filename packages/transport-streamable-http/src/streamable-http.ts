import { setMaxListeners } from 'node:events';
import {
  CountersignError,
  discard,
  excerpt,
  Handshake,
  isCountersignError,
  PendingRequests,
  readText,
  type ExchangeResponse,
  type JsonRpcMessage,
  type PendingRequest,
  type Transport,
  type TransportServices,
} from '@countersign/core';
import { followEvents } from './follow-events.js';
import type { StreamableHttpOptions } from './options.js';
import { mediaType, Session } from './session.js';

/** The part of the SDK's send options that concerns a client of this transport. */
export interface SendOptions {
  /** Goes on with the answer of an earlier request, from this event on. */
  readonly resumptionToken?: string | undefined;
  readonly onresumptiontoken?: ((token: string) => void) | undefined;
}

const CLOSE_TIMEOUT = 1_000; // milliseconds for the DELETE: everything must be gone within two seconds
const LINGER = 1_000; // milliseconds that a stream has to end after its answer, which keeps its connection for the next request
const RESUME_ATTEMPTS = 5;

/**
 * MCP's streamable HTTP transport (2025-11-25, Transports) over an authorized fetch. It resumes a stream that was cut, starts a new session when
 * the server has lost the old one, and answers every request: by the server, or with an error at its deadline or when the answer cannot come any more.
 */
export class StreamableHttpTransport implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: (message: JsonRpcMessage) => void;
  sessionId?: string;
  readonly #newSession: () => Session;
  readonly #maxSize: number;
  readonly #services: TransportServices;
  readonly #pending: PendingRequests;
  readonly #streams = new Set<PendingRequest>();
  readonly #closed = new AbortController();
  readonly #handshake: Handshake;
  #session: Session;
  #closing: Promise<void> | undefined;

  constructor(options: StreamableHttpOptions, services: TransportServices) {
    const url = services.server.url ?? new URL(options.url);
    this.#newSession = () => new Session(url, services);
    this.#session = this.#newSession();
    this.#maxSize = options.maxMessageSize;
    this.#services = services;
    setMaxListeners(0, this.#closed.signal); // every notification that is on its way listens to it
    this.#pending = new PendingRequests({
      server: services.server.name,
      timeout: services.timeouts.request,
      answer: (message) => this.#deliver(message),
      timedOut: (request) => this.#cancel(request),
    });
    this.#handshake = new Handshake(services.server.name, this.#pending);
  }

  setProtocolVersion(version: string): void {
    this.#session.version = version;
  }

  async start(): Promise<void> {}

  /** Sends one message. Throws when it cannot be delivered; what happens to the answer is told through `onmessage`. */
  async send(message: JsonRpcMessage, options: SendOptions = {}): Promise<void> {
    if (this.#closing) throw this.#closedError();
    const request = this.#pending.begin(message);
    try {
      await this.#sendInSession(message, request, options);
    } catch (error) {
      if (request && !this.#pending.has(request)) return; // it was answered at its deadline
      this.#pending.drop(request?.id);
      if (request && isCountersignError(error, 'TIMEOUT')) this.#cancel(request);
      throw error;
    } finally {
      if (message.method === 'notifications/cancelled')
        this.#pending.drop((message.params as { requestId?: unknown } | undefined)?.requestId);
    }
  }

  /** Ends the session (DELETE, at most a second), and answers what is pending with an error. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #sendInSession(
    message: JsonRpcMessage,
    request: PendingRequest | undefined,
    options: SendOptions,
  ): Promise<void> {
    if (message.method === 'initialize') {
      this.#handshake.remember(message);
      this.#session = this.#newSession();
      return this.#exchange(message, this.#session, request, options);
    }
    await this.#session.renewal;
    const session = this.#session;
    try {
      await this.#exchange(message, session, request, options);
    } catch (error) {
      if (!this.#handshake.known || !session.isLost(error)) throw error;
      if (!message.method) return; // the answer to a request of the lost session: nobody waits for it
      // The 404 says that the message was not looked at, so it is sent again whatever it is.
      await this.#renew(session);
      await this.#exchange(message, this.#session, request, options);
    }
  }

  async #exchange(
    message: JsonRpcMessage,
    session: Session,
    request: PendingRequest | undefined,
    options: SendOptions = {},
  ): Promise<void> {
    if (request && options.resumptionToken !== undefined) {
      const response = await session.stream(request.signal, options.resumptionToken);
      this.#pending.startTime(request);
      return void this.#follow(response, session, request, options);
    }
    const response = await session.post(message, request?.signal ?? this.#closed.signal);
    if (session === this.#session) this.#enter(session);
    if (!request) {
      discard(response.body);
      if (message.method === 'notifications/initialized') void this.#listen(session);
      return;
    }
    this.#pending.startTime(request);
    const type = mediaType(response);
    if (type === 'text/event-stream') return void this.#follow(response, session, request, options);
    if (type === 'application/json') {
      this.#receiveAll(await readText(response.body, this.#maxSize), request);
      return this.#pending.fail(request, this.#serverError(`answered ${request.method} with something else`)); // unless it did answer
    }
    discard(response.body);
    if (response.status !== 202)
      throw this.#serverError(`answered ${request.method} with content of type ${excerpt(type, 100) || 'none'}`); // 202: on the session's stream, then
  }

  /** Reads the stream that carries a request's answer. */
  async #follow(
    response: ExchangeResponse,
    session: Session,
    request: PendingRequest,
    options: SendOptions,
  ): Promise<void> {
    this.#streams.add(request);
    let linger: NodeJS.Timeout | undefined;
    try {
      const events = followEvents({
        ...this.#streamOptions(request.signal),
        response,
        open: (lastEventId) => session.stream(request.signal, lastEventId),
        done: () => !this.#pending.has(request),
        lastEventId: options.resumptionToken,
        onEventId: options.onresumptiontoken,
        standalone: false,
        attempts: RESUME_ATTEMPTS,
      });
      for await (const event of events) {
        if (event.data && isMessage(event.event))
          this.#receiveAll(event.data, request, options.resumptionToken !== undefined);
        if (!this.#pending.has(request)) linger ??= setTimeout(() => request.abort(), LINGER).unref();
      }
    } catch (error) {
      this.#pending.fail(
        request,
        isCountersignError(error) && error.code !== 'UNREACHABLE' ? error : this.#lost(request, error),
      );
    } finally {
      clearTimeout(linger);
      this.#streams.delete(request);
    }
  }

  /** Reads the session's own stream, on which the server sends requests and notifications, for as long as the session lives. */
  async #listen(session: Session): Promise<void> {
    const { signal } = session.closed;
    let opened = false;
    try {
      const response = await session.stream(signal);
      opened = true;
      const open = (lastEventId: string | undefined): Promise<ExchangeResponse> => session.stream(signal, lastEventId);
      const events = followEvents({
        ...this.#streamOptions(signal),
        response,
        open,
        done: () => signal.aborted,
        standalone: true,
        attempts: Infinity,
      });
      for await (const event of events) if (event.data && isMessage(event.event)) this.#receiveAll(event.data);
    } catch (error) {
      if (signal.aborted) return;
      if (opened && session.isLost(error))
        await this.#renew(session).catch((failure: unknown) => this.#report(failure));
      else if (opened || !isCountersignError(error, 'SERVER_ERROR')) this.#report(error);
      else this.#services.log.debug(`${error.message} It has no stream for notifications.`);
    }
  }

  #streamOptions(signal: AbortSignal) {
    return { signal, clock: this.#services.clock, maxLength: this.#maxSize };
  }

  #enter(session: Session): void {
    this.#session = session;
    if (session.id === undefined) delete this.sessionId;
    else this.sessionId = session.id;
  }

  /** Starts a new session in the place of one that the server has lost: once, for all that were sent in it. */
  #renew(lost: Session): Promise<void> {
    return (lost.renewal ??= this.#startAnew(lost));
  }

  async #startAnew(lost: Session): Promise<void> {
    lost.closed.abort();
    const session = this.#newSession();
    try {
      session.version = await this.#handshake.repeat((message, request) => this.#exchange(message, session, request));
      await this.#exchange({ jsonrpc: '2.0', method: 'notifications/initialized' }, session, undefined);
    } catch (error) {
      this.#session = lost.copy(); // what is sent from now on tries again
      throw error;
    }
    this.#enter(session);
    this.#services.log.debug(`Server ${this.#services.server.name} had lost the session; a new one is started.`);
  }

  /** Takes what the server sent: a message, or a batch of them (2025-03-26). */
  #receiveAll(text: string, request?: PendingRequest, replayed = false): void {
    let messages: JsonRpcMessage[];
    try {
      const value = JSON.parse(text) as JsonRpcMessage | JsonRpcMessage[];
      messages = Array.isArray(value) ? value : [value];
    } catch (cause) {
      return this.#report(this.#serverError('sent something that is not JSON', cause));
    }
    for (const message of messages) this.#receive(message, request, replayed);
  }

  #receive(message: JsonRpcMessage, request: PendingRequest | undefined, replayed: boolean): void {
    if (typeof message !== 'object' || message === null)
      return this.#report(this.#serverError('sent something that is not a message'));
    // The answer that a resumed stream brings has the id of the first request; an error without an id is this request's.
    const accepted = this.#pending.accept(message, replayed || message['id'] === null ? request?.id : message['id']);
    if (accepted) this.#deliver(accepted);
    else this.#report(this.#serverError('sent an answer that nobody waits for'));
  }

  #deliver(message: JsonRpcMessage): void {
    if (this.#handshake.takes(message)) return;
    try {
      this.onmessage?.(message);
    } catch (error) {
      this.#report(error);
    }
  }

  /** Tells the server that nobody waits any more. An initialize must not be cancelled. */
  #cancel({ id, method }: PendingRequest): void {
    if (method === 'initialize') return;
    const params = { requestId: id, reason: 'timeout' };
    this.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params }).catch(() => {});
  }

  async #close(): Promise<void> {
    const session = this.#session;
    session.closed.abort();
    this.#closed.abort();
    this.#pending.failAll(this.#closedError());
    for (const request of this.#streams) request.abort();
    await session
      .end(AbortSignal.timeout(CLOSE_TIMEOUT))
      .catch((error: unknown) => this.#services.log.debug(`The session was not ended: ${String(error)}`)); // 405 is a valid answer
    this.onclose?.();
  }

  #report(error: unknown): void {
    this.onerror?.(error as Error);
  }

  #serverError(fact: string, cause?: unknown): CountersignError {
    return new CountersignError('SERVER_ERROR', `Server ${this.#services.server.name} ${fact}.`, {
      cause,
      server: this.#services.server.name,
    });
  }

  #lost({ method }: PendingRequest, cause: unknown): CountersignError {
    const server = this.#services.server.name;
    return new CountersignError(
      'UNREACHABLE',
      `The connection to server ${server} was lost before ${method} was answered.`,
      { cause, server },
    );
  }

  #closedError(): CountersignError {
    const server = this.#services.server.name;
    return new CountersignError('ABORTED', `The connection to server ${server} was closed.`, { server });
  }
}

const isMessage = (event: string | undefined): boolean => event === undefined || event === 'message';
