import { CountersignError, discard, isCountersignError, type ExchangeResponse } from '@countersign/core';
import { statusError } from './answers.js';
import { Gather } from './gather.js';
import { EVENTS, lostSession, repeatable, session, type Session } from './http-session.js';
import { messageFields } from './message-fields.js';
import { backoff, pause } from './pause.js';
import { LINGER, type Call } from './pending.js';
import { readBody, readSome } from './read-body.js';
import { SseParser } from './sse.js';
import { ask, deliver, resultOf, type Upstream, type UpstreamContext } from './upstream.js';

/** The streamable HTTP transport (MCP 2025-11-25), from its client's side. */
export class StreamableHttp implements Upstream {
  readonly #context: UpstreamContext;
  #session: Session = session();
  #renewing: Promise<void> | undefined;
  #listening: AbortController | undefined;
  #closed = false;
  #connections = new Set<() => void>();

  constructor(context: UpstreamContext) {
    this.#context = context;
  }

  async initialize(): Promise<Buffer> {
    const { body, envelope } = this.#context.handshake;
    let id: string | undefined;
    const answer = await ask(this.#context, body, envelope!, (call) =>
      this.#send(call, session(), (head) => {
        id = head.headers.get('mcp-session-id');
        this.#session = session(id); // should the bridge end before the answer, the server is told
      }),
    );
    const { protocolVersion } = resultOf(answer);
    this.#session = session(id, typeof protocolVersion === 'string' ? protocolVersion : undefined);
    return answer;
  }

  async initialized(): Promise<void> {
    const { pending, handshake } = this.#context;
    if (!handshake.initialized) return;
    const current = this.#session;
    await this.#send(pending.open(handshake.initialized, []), current);
    if (current === this.#session && !this.#closed) void this.#listen(current);
  }

  send(call: Call): Promise<void> {
    return this.#send(call);
  }

  refresh(): void {
    for (const lost of [...this.#connections]) lost();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#listening?.abort();
    const { id, rest } = this.#session;
    if (id === undefined) return;
    try {
      const response = await this.#context.exchange({ method: 'DELETE', url: this.#context.url, headers: rest });
      discard(response.body);
    } catch {
      this.#context.log.debug('The session could not be ended at the server.');
    }
  }

  /** `fixed`: the session to use whatever happens to it, for what a session begins with. */
  async #send(call: Call, fixed?: Session, onHead?: (head: ExchangeResponse) => void): Promise<void> {
    const { pending } = this.#context;
    try {
      for (let tries = 1; ; tries++) {
        if (!fixed && this.#renewing) await this.#renewing;
        const current = fixed ?? this.#session;
        try {
          const response = await this.#post(call, current);
          onHead?.(response);
          await this.#read(call, response, current);
          break;
        } catch (error) {
          if (fixed || tries > 3 || call.controller.signal.aborted) throw error;
          if (lostSession(current, error)) await this.#renew(current);
          else if (repeatable(call, error)) await pause(backoff(tries - 1), call.controller.signal);
          else throw error;
        }
      }
    } catch (error) {
      pending.fail(call, error);
    }
    pending.close(call);
  }

  /** Resolves to a response of success. */
  async #post(call: Call, { post }: Session): Promise<ExchangeResponse> {
    const { exchange, url, output, handshake } = this.#context;
    const { signal } = call.controller;
    const { body } = call;
    const headers = handshake.envelope ? post : [...post, ...messageFields(body)];
    const response = await exchange({ method: 'POST', url, headers, body, unbounded: true }, signal);
    if (response.status >= 200 && response.status < 300) return response;
    throw statusError(response, await readSome(response.body, 65_536, output, signal), this.#context.redact);
  }

  async #read(call: Call, response: ExchangeResponse, current: Session): Promise<void> {
    const { redact } = this.#context;
    const named = response.headers.get('content-type')?.split(';', 1)[0]!.trim();
    const type = named?.toLowerCase();
    if (type === EVENTS) return this.#follow(call, response, current);
    if (type === 'application/json') {
      const bytes = await this.#collect(response, call.controller.signal);
      deliver(this.#context, bytes, call);
    } else discard(response.body);
    // Accepted, and no more said: the answer may come on the stream that the server sends by itself.
    if (call.pending.size === 0 || response.status === 202) return;
    throw new CountersignError(
      'SERVER_ERROR',
      `The server's response (${response.status}, ${redact(named ?? 'no content type')}) holds no answer to the request.`,
    );
  }

  async #collect(response: ExchangeResponse, signal: AbortSignal): Promise<Buffer> {
    const { cap, output } = this.#context;
    const answer = new Gather();
    const take = (bytes: Buffer): void => {
      answer.add(bytes);
      if (answer.length > cap)
        throw new CountersignError('TOO_LARGE', `The server's answer is larger than ${cap} bytes.`);
    };
    await readBody(response.body, output, take, { signal });
    return answer.take();
  }

  /** Reads an event stream until it has answered the call; where it breaks off, goes on behind the last event that came whole. */
  async #follow(call: Call, first: ExchangeResponse, current: Session): Promise<void> {
    const { signal } = call.controller;
    let response: ExchangeResponse | undefined = first;
    let linger: NodeJS.Timeout | undefined;
    const parser = new SseParser((data, event) => {
      if (event === 'message') deliver(this.#context, data, call);
      if (call.pending.size === 0) linger ??= setTimeout(() => response?.body.destroy(), LINGER).unref();
    }, this.#context.cap);
    let failures = 0;
    for (;;) {
      if (response) {
        const before = parser.lastEventId;
        await this.#drink(response, parser, signal);
        if (call.pending.size === 0 || signal.aborted) return clearTimeout(linger);
        if (parser.lastEventId !== before) failures = 0;
      }
      if (parser.lastEventId === undefined)
        throw new CountersignError('UNREACHABLE', 'The connection was lost before the answer came.');
      this.#context.log.debug('A stream broke off before its answer; resuming it.');
      // The server's own pace, unless it leads nowhere.
      await pause(
        failures === 0 ? (parser.retry ?? backoff(0)) : Math.max(parser.retry ?? 0, backoff(failures)),
        signal,
      );
      failures++;
      if (signal.aborted) return;
      parser.reset();
      try {
        response = await this.#events(current, parser.lastEventId, signal);
      } catch (cause) {
        // Never with a status: a 404 here does not prove that the request was not run.
        throw new CountersignError(
          'UNREACHABLE',
          "The connection was lost before the answer came, and the server can't continue it.",
          { cause },
        );
      }
    }
  }

  /** Opens an event stream. `undefined`: not now, try again. Rejects when the server has none to give. */
  async #events(
    current: Session,
    lastEventId: string | undefined,
    signal: AbortSignal,
  ): Promise<ExchangeResponse | undefined> {
    const { exchange, url } = this.#context;
    const headers: (readonly [string, string])[] = [['accept', EVENTS], ...current.rest];
    if (lastEventId !== undefined) headers.push(['last-event-id', lastEventId]);
    let response: ExchangeResponse;
    try {
      response = await exchange({ method: 'GET', url, headers, unbounded: true }, signal);
    } catch (error) {
      if (
        isCountersignError(
          error,
          'UNREACHABLE',
          'TIMEOUT',
          'RATE_LIMITED',
          'SERVER_ERROR',
          'LOGIN_REQUIRED',
          'UNAUTHORIZED',
        )
      )
        return undefined;
      throw error;
    }
    if (response.status === 200 && response.headers.get('content-type')?.toLowerCase().startsWith(EVENTS))
      return response;
    discard(response.body);
    if (response.status >= 500 || [401, 408, 425, 429].includes(response.status)) return undefined;
    throw new CountersignError('SERVER_ERROR', `The server gives no stream (${response.status}).`, {
      status: response.status,
    });
  }

  /** Reads a stream to its end or to where it breaks off. Rejects only for what another connection would not mend. */
  async #drink(response: ExchangeResponse, parser: SseParser, signal: AbortSignal): Promise<void> {
    const { output, idle } = this.#context;
    const lost = (): void =>
      void response.body.destroy(new CountersignError('UNREACHABLE', 'The connection is given up.'));
    this.#connections.add(lost);
    try {
      await readBody(response.body, output, (bytes) => parser.push(bytes), { signal, idle });
    } catch (error) {
      if (isCountersignError(error, 'TOO_LARGE')) throw error;
    } finally {
      this.#connections.delete(lost);
    }
  }

  /** The stream that the server sends by itself, for as long as the session is the current one. */
  async #listen(current: Session): Promise<void> {
    this.#listening?.abort();
    const { signal } = (this.#listening = new AbortController());
    const parser = new SseParser((data, event) => {
      if (event === 'message') deliver(this.#context, data);
    }, this.#context.cap);
    let opened = false;
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        const response = await this.#events(current, parser.lastEventId, signal);
        if (response) {
          opened = true;
          const since = performance.now();
          await this.#drink(response, parser, signal);
          if (performance.now() - since > 5000) failures = 0;
        }
      } catch (error) {
        if (signal.aborted) return;
        if (isCountersignError(error, 'TOO_LARGE')) parser.lastEventId = undefined;
        else if (opened && lostSession(current, error)) return void this.#renew(current).catch(() => undefined);
        else return this.#context.log.debug('The server offers no stream of its own.');
      }
      parser.reset();
      await pause(Math.max(parser.retry ?? 0, backoff(failures)), signal);
    }
  }

  /** One new session for all that found the old one gone. */
  #renew(gone: Session): Promise<void> {
    if (gone !== this.#session || this.#closed) return Promise.resolve();
    this.#renewing ??= this.#begin().finally(() => (this.#renewing = undefined));
    return this.#renewing;
  }

  async #begin(): Promise<void> {
    this.#context.log.debug('The server dropped the session; beginning another.');
    this.#listening?.abort();
    await this.initialize();
    await this.initialized();
    for (const { body, envelope } of this.#context.handshake.standing.values()) {
      await ask(this.#context, body, envelope, (call) => this.#send(call, this.#session)).catch(() => undefined);
    }
  }
}
