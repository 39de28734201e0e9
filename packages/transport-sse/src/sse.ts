import { setMaxListeners } from 'node:events';
import {
  CountersignError,
  discard,
  Handshake,
  isCountersignError,
  PendingRequests,
  refusedResponse,
  type ErrorCode,
  type JsonRpcMessage,
  type PendingRequest,
  type ServerSentEvent,
  type Transport,
  type TransportServices,
} from '@countersign/core';
import { Connection } from './connection.js';
import { EventSource, type OpenStream } from './event-source.js';
import type { SseOptions } from './options.js';

/**
 * MCP's HTTP+SSE transport (2024-11-05) over an authorized exchange. A stream that is lost is opened again, authorized anew, after the last event;
 * what is sent meanwhile waits for that. Where the server starts another session then, it is initialized as the client did, and the
 * requests of the old one are answered with an error: whether they ran, nobody knows.
 */
export class SseTransport implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: (message: JsonRpcMessage) => void;
  readonly #services: TransportServices;
  readonly #pending: PendingRequests;
  readonly #connection: Connection;
  readonly #closed = new AbortController();
  /** Requests that a session may know of. */
  readonly #posted = new WeakSet<PendingRequest>();
  readonly #handshake: Handshake;
  #version: string | undefined;
  #ended: CountersignError | undefined;

  constructor(options: SseOptions, services: TransportServices) {
    this.#services = services;
    setMaxListeners(0, this.#closed.signal); // every notification that is on its way listens to it
    const url = services.server.url ?? new URL(options.url);
    this.#pending = new PendingRequests({
      server: services.server.name,
      timeout: services.timeouts.request,
      answer: (message) => this.#deliver(message),
      timedOut: (request) => this.#cancel(request),
    });
    this.#handshake = new Handshake(services.server.name, this.#pending);
    this.#connection = new Connection({
      source: new EventSource({ url, services, maxLength: options.maxMessageSize, signal: this.#closed.signal }),
      clock: services.clock,
      onEvent: (event) => this.#receive(event),
      onNewSession: (stream) => this.#startSession(stream),
      onLost: (cause) => {
        if (isCountersignError(cause, 'TOO_LARGE')) {
          this.#pending.failAll(cause, (request) => this.#posted.has(request)); // whichever it was the answer to
          this.onerror?.(cause);
        }
        services.log.debug(
          `The stream of server ${services.server.name} ended (${reasonOf(cause)}). Connecting again.`,
        );
      },
      onFailure: (cause) => {
        const lost = this.#lost(cause);
        this.#pending.failAll(lost);
        return lost;
      },
      onRefused: (error) => this.#end(error),
    });
  }

  setProtocolVersion(version: string): void {
    this.#version = version;
  }

  /** Opens the stream. Throws when the server can't be reached or refuses, or names an endpoint of another origin. */
  start(): Promise<void> {
    return this.#connection.open();
  }

  /** Sends one message, after the stream is open again if need be. */
  async send(message: JsonRpcMessage): Promise<void> {
    if (this.#ended) throw this.#ended;
    if (message['method'] === 'initialize') this.#handshake.remember(message);
    const request = this.#pending.begin(message);
    try {
      await this.#sendInSession(message, request);
    } catch (error) {
      if (request && !this.#pending.has(request)) return; // it was answered meanwhile
      this.#pending.drop(request?.id);
      if (request && isCountersignError(error, 'TIMEOUT')) this.#cancel(request);
      throw error;
    } finally {
      if (message['method'] === 'notifications/cancelled')
        this.#pending.drop((message['params'] as { requestId?: unknown } | undefined)?.requestId);
    }
  }

  /** Ends the stream, and answers what is pending with an error. */
  async close(): Promise<void> {
    this.#end(this.#error('ABORTED', 'was closed'));
  }

  async #sendInSession(message: JsonRpcMessage, request: PendingRequest | undefined): Promise<void> {
    const stream = await this.#connection.stream();
    try {
      await this.#post(stream, message, request);
    } catch (error) {
      if (
        !isCountersignError(error, 'SERVER_ERROR') ||
        error.status !== 404 ||
        !this.#handshake.known ||
        message['method'] === 'initialize'
      )
        throw error;
      // The session is gone, and the stream doesn't show it. The 404 says that the message was not looked at: it is sent again, once.
      if (request) this.#posted.delete(request);
      this.#connection.drop(stream, this.#lost(error));
      await this.#post(await this.#connection.stream(), message, request);
    }
  }

  async #post({ endpoint }: OpenStream, message: JsonRpcMessage, request?: PendingRequest): Promise<void> {
    if (request && !this.#pending.has(request)) return; // nobody waits any more
    if (request) this.#posted.add(request);
    const headers: [string, string][] = [['content-type', 'application/json']];
    if (this.#version !== undefined && message['method'] !== 'initialize')
      headers.push(['mcp-protocol-version', this.#version]);
    const body = JSON.stringify(message);
    const response = await this.#services.exchange(
      { method: 'POST', url: endpoint, headers, body },
      request?.signal ?? this.#closed.signal,
    );
    if (response.status < 200 || response.status > 299) {
      const what = typeof message['method'] === 'string' ? message['method'] : 'an answer';
      throw await refusedResponse(response, what, this.#services);
    }
    discard(response.body);
    if (request) this.#pending.startTime(request);
  }

  /** Starts a session on a new endpoint, as the client started the first. */
  async #startSession(stream: OpenStream): Promise<void> {
    const lost = this.#error(
      'UNREACHABLE',
      'was lost before the answer came, and the server has started another session',
    );
    this.#pending.failAll(lost, (request) => this.#posted.has(request));
    if (!this.#handshake.known) return;
    this.#version = await this.#handshake.repeat((message, request) => this.#post(stream, message, request));
    await this.#post(stream, { jsonrpc: '2.0', method: 'notifications/initialized' });
  }

  #receive({ event, data }: ServerSentEvent): void {
    if (data === '' || (event !== undefined && event !== 'message')) return;
    let message: JsonRpcMessage;
    try {
      message = JSON.parse(data) as JsonRpcMessage;
      if (typeof message !== 'object' || message === null) throw new SyntaxError('not a message');
    } catch (cause) {
      return this.onerror?.(
        new CountersignError(
          'SERVER_ERROR',
          `Server ${this.#services.server.name} sent something that is not a message.`,
          { cause },
        ),
      );
    }
    const accepted = this.#pending.accept(message);
    if (accepted) this.#deliver(accepted);
    else
      this.onerror?.(
        new CountersignError(
          'SERVER_ERROR',
          `Server ${this.#services.server.name} sent an answer that nobody waits for.`,
        ),
      );
  }

  #deliver(message: JsonRpcMessage): void {
    if (this.#handshake.takes(message)) return;
    try {
      this.onmessage?.(message);
    } catch (error) {
      this.onerror?.(error as Error);
    }
  }

  /** Tells the server that nobody waits any more. An initialize must not be cancelled. */
  #cancel({ id, method }: PendingRequest): void {
    if (method === 'initialize') return;
    const params = { requestId: id, reason: 'timeout' };
    this.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params }).catch(() => {});
  }

  #end(reason: CountersignError): void {
    if (this.#ended) return;
    this.#ended = reason;
    this.#closed.abort();
    this.#connection.close(reason);
    this.#pending.failAll(reason);
    if (reason.code !== 'ABORTED') this.onerror?.(reason);
    this.onclose?.();
  }

  #lost(cause: unknown): CountersignError {
    return this.#error('UNREACHABLE', `was lost (${reasonOf(cause)})`, cause);
  }

  #error(code: ErrorCode, fact: string, cause?: unknown): CountersignError {
    const { name } = this.#services.server;
    return new CountersignError(code, `The connection to server ${name} ${fact}.`, { cause, server: name });
  }
}

const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message : 'it ended it');
