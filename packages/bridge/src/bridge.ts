import { CountersignError, silentLog, type Log } from '@countersign/core';
import { describe, errorAnswer, INVALID_REQUEST, PARSE_ERROR } from './answers.js';
import type { BridgeOptions } from './bridge-options.js';
import { isBatch, readEnvelopes, type Envelope } from './envelope.js';
import { Intake } from './intake.js';
import { LineSplitter } from './lines.js';
import { OldSse } from './old-sse.js';
import { Output } from './output.js';
import { backoff, pause } from './pause.js';
import { PendingRequests, type Call } from './pending.js';
import { isSignedOut, listChanges, signedOutAnswer, signedOutInitialize, withLogin } from './signed-out.js';
import { StreamableHttp } from './streamable-http.js';
import { Handshake, paramsOf, resultOf, type Upstream, type UpstreamContext } from './upstream.js';
import { watchSleep } from './watch-sleep.js';

/** Requests under way above which stdin waits for a client that doesn't read. */
const MANY = 256;
/** Milliseconds that answers under way get after the end of stdin, that the farewell to the server may take, and the client's reading of it all. */
const GRACE = 800;
const FAREWELL = 500;
const LAST_WORDS = 300;
/** Milliseconds after which a bridge that nobody signed in tries all the same. */
const SELDOM = 30_000;

/**
 * A stdio MCP server in front of a remote one. Resolves when the client has closed stdin or `signal` aborted, everything pending is answered
 * and the session ended: within two seconds.
 */
export function runBridge(options: BridgeOptions): Promise<void> {
  return new Bridge(options).run();
}

type State = 'new' | 'starting' | 'signed-out' | 'open';

class Bridge {
  readonly #options: BridgeOptions;
  readonly #name: string;
  readonly #log: Log;
  readonly #cap: number;
  readonly #output: Output;
  readonly #pending: PendingRequests;
  readonly #handshake = new Handshake();
  readonly #context: UpstreamContext;
  readonly #closing = new AbortController();
  /** Counts the bytes in the backlog and in calls under way. */
  readonly #intake: Intake;
  #upstream: Upstream;
  #state: State = 'new';
  #signedOut: unknown;
  #backlog: Buffer[] = [];
  /** Notifications and answers of the client, one behind the other. */
  #order: Promise<void> = Promise.resolve();
  #end: () => void = () => undefined;

  constructor(options: BridgeOptions) {
    const { exchange, url, stdout, timeout = 300_000, idle, maxMessage = 33_554_432 } = options;
    this.#options = options;
    this.#name = options.name ?? url.host;
    const login = options.login ?? `countersign login ${this.#name}`;
    this.#log = options.log ?? silentLog;
    this.#cap = maxMessage;
    const busy = (): boolean => this.#output.full && this.#pending.size > MANY;
    this.#intake = new Intake(options.stdin, busy, this.#closing.signal);
    this.#output = new Output(stdout, this.#intake.flow, () => this.#end());
    this.#pending = new PendingRequests(this.#output, timeout, (ids) => this.#giveUp(ids));
    this.#context = {
      exchange: (request, signal) =>
        exchange(request, signal).catch((error: unknown) => {
          throw withLogin(error, login);
        }),
      url,
      output: this.#output,
      pending: this.#pending,
      handshake: this.#handshake,
      idle,
      timeout,
      cap: maxMessage,
      log: this.#log,
      redact: options.redact ?? ((text) => text),
    };
    this.#upstream = options.transport === 'sse' ? new OldSse(this.#context) : new StreamableHttp(this.#context);
  }

  async run(): Promise<void> {
    const { stdin, signal } = this.#options;
    const lines = new LineSplitter(
      { line: (bytes) => this.#line(bytes), tooLong: (envelope) => this.#tooLong(envelope) },
      this.#cap,
    );
    const ended = new Promise<'ended' | 'gone'>((resolve) => {
      this.#end = () => resolve('gone');
      stdin.on('data', (chunk: Buffer) => {
        lines.push(chunk);
        this.#intake.flow();
      });
      stdin.on('end', () => {
        lines.end();
        resolve('ended');
      });
      stdin.on('error', () => resolve('gone'));
      stdin.on('close', () => resolve('gone'));
      signal?.addEventListener('abort', () => resolve('gone'), { once: true });
      if (signal?.aborted) resolve('gone');
    });
    const awake = watchSleep(() => this.#upstream.refresh());
    const how = await ended;
    awake();
    if (how === 'ended') await this.#idle(GRACE);
    this.#closing.abort();
    stdin.pause();
    const goodbye = new CountersignError('ABORTED', 'The bridge is shutting down.');
    const backlog = this.#backlog;
    this.#backlog = [];
    this.#pending.failAll(goodbye);
    for (const line of backlog) {
      for (const { kind, id } of readEnvelopes(line))
        if (kind === 'request') this.#output.write(errorAnswer(id!, describe(goodbye)));
    }
    // What failed reports in its own time.
    await new Promise(setImmediate);
    await Promise.race([this.#upstream.close(), pause(FAREWELL)]);
    await Promise.race([this.#output.end(), pause(LAST_WORDS)]);
  }

  /** Resolves when nothing is under way, at the latest after `ms`. */
  async #idle(ms: number): Promise<void> {
    const wait = new AbortController();
    const timer = setTimeout(() => wait.abort(), ms);
    this.#options.signal?.addEventListener('abort', () => wait.abort(), { once: true });
    while (!wait.signal.aborted && (this.#pending.size > 0 || this.#backlog.length > 0 || this.#state === 'starting'))
      await pause(10, wait.signal);
    await Promise.race([this.#order, pause(ms, wait.signal)]);
    clearTimeout(timer);
  }

  #line(bytes: Buffer): void {
    if (this.#state === 'starting') {
      this.#backlog.push(bytes);
      this.#intake.count(bytes.length);
      return;
    }
    const messages = readEnvelopes(bytes);
    const [first] = messages;
    const batch = isBatch(bytes);
    if (!first)
      return this.#output.write(
        errorAnswer('null', { code: PARSE_ERROR, message: 'The line is no JSON-RPC message.' }),
      );
    if (messages.every(({ kind }) => kind === 'invalid')) {
      return this.#output.write(
        errorAnswer(first.id ?? 'null', {
          code: INVALID_REQUEST,
          message: 'The message has neither a method nor a result, or its id is none.',
        }),
      );
    }
    if (!batch && first.kind === 'request' && first.method === 'initialize') return void this.#start(bytes, first);
    if (!batch && first.method === 'notifications/initialized') return void this.#initialized(bytes);
    if (this.#state === 'signed-out') return this.#answerSignedOut(messages);
    if (first.method === 'notifications/cancelled') this.#cancelled(bytes);
    else if (first.kind === 'request' && !batch) this.#handshake.note(bytes, first);
    this.#forward(bytes, messages, batch);
  }

  /** Requests go at once; notifications and answers keep their order among themselves. */
  #forward(bytes: Buffer, messages: readonly Envelope[], batch: boolean): void {
    const call = this.#pending.open(bytes, messages, batch);
    this.#intake.count(bytes.length);
    if (call.pending.size > 0) void this.#send(call);
    else this.#order = this.#order.then(() => Promise.race([this.#send(call), pause(5000, this.#closing.signal)]));
  }

  async #send(call: Call): Promise<void> {
    await this.#upstream.send(call);
    this.#intake.count(-call.body.length);
  }

  #tooLong({ kind, id }: Envelope): void {
    const error = new CountersignError(
      'TOO_LARGE',
      `The message is larger than ${this.#cap} bytes, so it was not sent.`,
    );
    if (id !== undefined && kind !== 'response') this.#output.write(errorAnswer(id, describe(error)));
    else if (kind === 'invalid') this.#output.write(errorAnswer('null', describe(error)));
    else this.#log.warn(error.message);
  }

  #cancelled(bytes: Buffer): void {
    const id = paramsOf(bytes)?.['requestId'];
    if (typeof id === 'string' || typeof id === 'number') this.#pending.forget(JSON.stringify(id));
  }

  /** Nobody waits any more: the server need not work on. */
  #giveUp(ids: readonly string[]): void {
    for (const id of ids) {
      const params = `{"requestId":${id},"reason":"The deadline has passed."}`;
      const notification = Buffer.from(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":${params}}`);
      this.#forward(notification, [], false);
    }
  }

  async #start(body: Buffer, envelope: Envelope): Promise<void> {
    this.#state = 'starting';
    if (this.#handshake.envelope) void this.#upstream.close();
    this.#handshake.body = body;
    this.#handshake.envelope = envelope;
    this.#handshake.initialized = undefined;
    this.#handshake.standing.clear();
    const id = envelope.id!;
    const before = this.#options.credential?.();
    try {
      this.#output.write(Buffer.from(await this.#connect()));
      this.#enter('open');
    } catch (error) {
      if (isSignedOut(error)) {
        this.#signedOut = error;
        this.#output.write(signedOutInitialize(body, id, this.#name, error));
        this.#enter('signed-out');
        void this.#awaitLogin(before);
      } else {
        this.#output.write(errorAnswer(id, describe(error)));
        this.#enter('new');
      }
    }
  }

  /** Initializes at the server. Where a 4xx says that it doesn't know the streamable transport, the one before it is tried. */
  async #connect(): Promise<Buffer> {
    const { transport } = this.#options;
    if (transport !== 'sse') this.#upstream = new StreamableHttp(this.#context);
    try {
      return await this.#upstream.initialize();
    } catch (error) {
      const { status = 0 } = error as { status?: number };
      if (
        transport ||
        status < 400 ||
        status > 499 ||
        [401, 403, 407, 408, 429].includes(status) ||
        this.#closing.signal.aborted
      )
        throw error;
      this.#log.debug(`The server answered ${status} to initialize; trying the SSE transport.`);
      const old = new OldSse(this.#context);
      try {
        this.#upstream = old;
        return await old.initialize();
      } catch (again) {
        await old.close();
        throw isSignedOut(again) ? again : error;
      }
    }
  }

  async #initialized(bytes: Buffer): Promise<void> {
    this.#handshake.initialized = bytes;
    if (this.#state !== 'open') return;
    // What follows waits until the server has heard it.
    this.#state = 'starting';
    await Promise.race([this.#upstream.initialized(), pause(5000, this.#closing.signal)]);
    this.#enter('open');
  }

  #enter(state: State): void {
    this.#state = state;
    const lines = this.#backlog;
    this.#backlog = [];
    for (const line of lines) {
      // The line may be one that makes the rest wait again.
      this.#intake.count(-line.length);
      this.#line(line);
    }
  }

  #answerSignedOut(messages: readonly Envelope[]): void {
    for (const message of messages)
      if (message.kind === 'request') this.#output.write(signedOutAnswer(message, this.#signedOut));
  }

  /** Waits for a sign-in elsewhere, begins the session that could not begin, and has the client ask for its lists. */
  async #awaitLogin(seen: unknown): Promise<void> {
    const { credential } = this.#options;
    const { signal } = this.#closing;
    let asked = performance.now();
    for (let failures = 5; !signal.aborted && this.#state === 'signed-out';) {
      await pause(credential ? 1000 : backoff(failures), signal);
      const now = credential?.();
      // Not every credential shows there: a cloud's own sign-in doesn't.
      const due = performance.now() - asked > SELDOM;
      if (signal.aborted || (credential && now === seen && !due)) continue;
      asked = performance.now();
      try {
        const { capabilities } = resultOf(await this.#connect());
        await this.#upstream.initialized();
        this.#enter('open');
        for (const change of listChanges(capabilities)) this.#output.write(change);
      } catch (error) {
        failures++;
        this.#signedOut = error;
        if (isSignedOut(error)) seen = now;
        else await pause(backoff(failures), signal);
      }
    }
  }
}
