import { CountersignError, discard, isCountersignError, type ExchangeResponse } from '@countersign/core';
import { statusError } from './answers.js';
import { backoff, pause } from './pause.js';
import type { Call } from './pending.js';
import { readBody, readSome } from './read-body.js';
import { SseParser } from './sse.js';
import { ask, deliver, resultOf, type Upstream, type UpstreamContext } from './upstream.js';

/** The HTTP+SSE transport of MCP 2024-11-05: one stream for everything that the server says, a URL of its own for what the client says. */
export class OldSse implements Upstream {
  readonly #context: UpstreamContext;
  readonly #closed = new AbortController();
  #endpoint: URL | undefined;
  #version: string | undefined;
  #stream: ExchangeResponse | undefined;
  /** The stream being opened anew, with its session. */
  #renewing: Promise<void> | undefined;
  #begun = false;

  constructor(context: UpstreamContext) {
    this.#context = context;
  }

  async initialize(): Promise<Buffer> {
    if (!this.#endpoint) await this.#connect();
    const { body, envelope } = this.#context.handshake;
    const answer = await ask(this.#context, body, envelope!, (call) => this.#post(call));
    const { protocolVersion } = resultOf(answer);
    this.#version = typeof protocolVersion === 'string' ? protocolVersion : undefined;
    this.#begun = true;
    return answer;
  }

  async initialized(): Promise<void> {
    const { pending, handshake } = this.#context;
    if (handshake.initialized) await this.#post(pending.open(handshake.initialized, []));
  }

  async send(call: Call): Promise<void> {
    try {
      if (!this.#endpoint) this.#again();
      await this.#renewing;
    } catch (error) {
      this.#context.pending.fail(call, error);
    }
    await this.#post(call);
  }

  refresh(): void {
    this.#stream?.body.destroy();
  }

  async close(): Promise<void> {
    this.#closed.abort();
    this.#stream?.body.destroy();
  }

  /** Opens the stream, and resolves when the server has said where to post. */
  async #connect(): Promise<void> {
    const { exchange, url, output, idle, cap, timeout } = this.#context;
    const stop = new AbortController();
    const give = (): void => stop.abort(new CountersignError('ABORTED', 'The bridge is shutting down.'));
    this.#closed.signal.addEventListener('abort', give, { once: true });
    const timer = setTimeout(
      () => stop.abort(new CountersignError('TIMEOUT', 'The server did not say in time where to post.')),
      timeout,
    ).unref();
    try {
      const response = await exchange(
        { method: 'GET', url, headers: [['accept', 'text/event-stream']], unbounded: true },
        stop.signal,
      );
      if (response.status !== 200) {
        throw statusError(response, await readSome(response.body, 65_536, output, stop.signal), this.#context.redact);
      }
      if (!response.headers.get('content-type')?.toLowerCase().startsWith('text/event-stream')) {
        discard(response.body);
        throw new CountersignError('SERVER_ERROR', 'The server answered without an event stream.', {
          status: response.status,
        });
      }
      this.#stream = response;
      await new Promise<void>((resolve, reject) => {
        const parser = new SseParser((data, event) => {
          if (event === 'message') deliver(this.#context, data);
          if (event !== 'endpoint') return;
          this.#endpoint = endpoint(data.toString(), url);
          resolve();
        }, cap);
        const over = (error?: Error): void => {
          reject(error ?? new CountersignError('UNREACHABLE', 'The stream ended at once.'));
          this.#lost(response, error);
        };
        readBody(response.body, output, (bytes) => parser.push(bytes), { signal: stop.signal, idle }).then(
          () => over(),
          over,
        );
      });
    } finally {
      clearTimeout(timer);
    }
  }

  /** What was asked on the stream can't be answered any more. A session that had begun is begun again. */
  #lost(stream: ExchangeResponse, reason: unknown): void {
    if (stream !== this.#stream) return;
    this.#stream = undefined;
    this.#endpoint = undefined;
    if (this.#closed.signal.aborted) return;
    const error = isCountersignError(reason, 'TOO_LARGE', 'FOREIGN_ORIGIN')
      ? reason
      : new CountersignError('UNREACHABLE', 'The connection was lost before the answer came.');
    this.#context.pending.failAll(error);
    this.#again();
  }

  #again(): void {
    if (!this.#begun || this.#renewing) return;
    this.#context.log.debug('The stream broke off; beginning another.');
    this.#renewing = this.#renew().finally(() => (this.#renewing = undefined));
    this.#renewing.catch(() => undefined);
  }

  async #renew(): Promise<void> {
    const { signal } = this.#closed;
    for (let failures = 0; !signal.aborted; failures++) {
      await pause(backoff(failures), signal);
      try {
        await this.initialize();
        break;
      } catch (error) {
        if (!isCountersignError(error, 'UNREACHABLE', 'TIMEOUT', 'SERVER_ERROR', 'RATE_LIMITED') || failures >= 8)
          throw error;
      }
    }
    await this.initialized();
    for (const { body, envelope } of this.#context.handshake.standing.values()) {
      await ask(this.#context, body, envelope, (call) => this.#post(call)).catch(() => undefined);
    }
  }

  async #post(call: Call): Promise<void> {
    const { exchange, output, pending } = this.#context;
    const { signal } = call.controller;
    const headers: [string, string][] = [['content-type', 'application/json']];
    if (this.#version !== undefined) headers.push(['mcp-protocol-version', this.#version]);
    try {
      if (!this.#endpoint) throw new CountersignError('UNREACHABLE', 'The connection to the server is lost.');
      const response = await exchange(
        { method: 'POST', url: this.#endpoint, headers, body: call.body, unbounded: true },
        signal,
      );
      if (response.status >= 200 && response.status < 300) discard(response.body);
      else throw statusError(response, await readSome(response.body, 65_536, output, signal), this.#context.redact);
    } catch (error) {
      pending.fail(call, error);
    }
    pending.close(call);
  }
}

/** The URL to post to. Only the server's own origin may see the credential. */
function endpoint(text: string, server: URL): URL {
  const url = URL.canParse(text, server.href) ? new URL(text, server) : undefined;
  if (!url || url.origin !== server.origin) {
    throw new CountersignError(
      'FOREIGN_ORIGIN',
      'The server named an endpoint that is not on its own origin; nothing was sent there.',
    );
  }
  return url;
}
