import type { Exchange, Log } from '@countersign/core';
import { AnsweredError } from './answers.js';
import { isBatch, readEnvelopes, type Envelope } from './envelope.js';
import type { Output } from './output.js';
import type { Call, PendingRequests } from './pending.js';

/** What a way to the server needs. */
export interface UpstreamContext {
  readonly exchange: Exchange;
  readonly url: URL;
  readonly output: Output;
  readonly pending: PendingRequests;
  /** What the client said at the start, for saying it again. */
  readonly handshake: Handshake;
  /** Milliseconds without a byte after which a stream counts as lost. */
  readonly idle: number | undefined;
  /** Milliseconds that a request may take. */
  readonly timeout: number;
  /** Bytes of one message. */
  readonly cap: number;
  readonly log: Log;
  readonly redact: (text: string) => string;
  /** When the last progress notification of the one stream for everything went to the client (performance.now). */
  progressAt?: number;
}

/** A way to the server: streamable HTTP, or the SSE transport before it. */
export interface Upstream {
  /** Sends the handshake's `initialize` and resolves to the server's answer. Rejects when there is none. */
  initialize(): Promise<Buffer>;
  /** Tells the server that the client is initialized, and begins to listen for what the server sends by itself. Never rejects. */
  initialized(): Promise<void>;
  /** Sends a call. Resolves when the server has done with it; its requests are then answered or waiting for another stream. Never rejects. */
  send(call: Call): Promise<void>;
  /** Looks whether its long connections still live: the machine may have slept. */
  refresh(): void;
  /** Ends the session. Never rejects. */
  close(): Promise<void>;
}

/** What the client said that a new session must hear again. */
export class Handshake {
  body: Buffer = Buffer.alloc(0);
  envelope: Envelope | undefined;
  /** The client's `notifications/initialized`, once it came. */
  initialized: Buffer | undefined;
  /** Subscriptions and the log level: the request that set each. */
  readonly standing = new Map<string, { body: Buffer; envelope: Envelope }>();

  /** Remembers a request that the session keeps: `resources/subscribe`, `logging/setLevel`. */
  note(body: Buffer, envelope: Envelope): void {
    const { method } = envelope;
    if (method === 'logging/setLevel') this.standing.set(method, { body, envelope });
    if (method !== 'resources/subscribe' && method !== 'resources/unsubscribe') return;
    const key = `subscribe ${String(paramsOf(body)?.['uri'])}`;
    if (method === 'resources/subscribe') this.standing.set(key, { body, envelope });
    else this.standing.delete(key);
  }
}

/** The params of a small message, parsed. */
export function paramsOf(body: Buffer): Record<string, unknown> | undefined {
  try {
    return (JSON.parse(body.toString()) as { params?: Record<string, unknown> }).params;
  } catch {
    return undefined;
  }
}

/** The result of an answer to one of the bridge's own requests. Throws the error that the server answered. */
export function resultOf(answer: Buffer): Record<string, unknown> {
  const { result, error } = JSON.parse(answer.toString()) as {
    result?: Record<string, unknown>;
    error?: { code: number; message: string };
  };
  if (error) throw new AnsweredError(200, error);
  return result ?? {};
}

/** Asks the server something in the bridge's own name. */
export function ask(
  context: UpstreamContext,
  body: Buffer,
  envelope: Envelope,
  send: (call: Call) => Promise<void>,
): Promise<Buffer> {
  return new Promise((answer, fail) => {
    void send(context.pending.open(body, [envelope], false, { answer, fail }));
  });
}

/** Hands on what the server sent: an answer to whoever waits for it, anything else to the client, and what is no JSON-RPC to nobody. */
export function deliver(context: UpstreamContext, bytes: Buffer, call?: Call): void {
  const { output, pending, log } = context;
  const stream = call ?? context;
  const messages = readEnvelopes(bytes);
  const batch = isBatch(bytes);
  const outgoing: Buffer[] = [];
  let answered = false;
  let dropped = 0;
  if (messages.length === 0) log.debug('The server sent something that is no JSON-RPC message; dropped.');
  for (const message of messages) {
    const part = batch ? bytes.subarray(message.start, message.end) : bytes;
    if (message.kind === 'request' || message.kind === 'notification') {
      if (message.method === 'notifications/progress') stream.progressAt = performance.now();
      outgoing.push(part);
    } else if (message.kind === 'invalid') dropped++;
    else {
      const taken = message.id === undefined ? undefined : pending.take(message.id, call);
      if (taken && taken.call !== call) pending.linger(taken.call);
      if (!taken && (message.id ?? 'null') === 'null' && call) failed(part, call, pending);
      if (taken?.own) taken.own.answer(part);
      else if (taken) answered = outgoing.push(part) > 0;
      else log.debug('The server sent an answer that nobody waits for; dropped.');
    }
  }
  if (dropped > 0) log.debug(`The server sent ${dropped} of what is no JSON-RPC message; dropped.`);
  if (batch && call?.batch && outgoing.length === messages.length && outgoing.length > 0) output.write(bytes);
  else if (messages.length === 1 && messages[0]!.kind === 'response' && afterProgress(stream))
    for (const part of outgoing) output.writeLater(part, APART);
  else for (const part of outgoing) output.write(part);
  if (answered && pending.size === 0) output.flush();
}

/** Milliseconds. SDK clients lose a progress notification that they read in one piece with the answer. */
const APART = 25;

function afterProgress({ progressAt }: { progressAt?: number }): boolean {
  return progressAt !== undefined && performance.now() - progressAt < APART;
}

/** An error without an id, as the answer to a POST, is about that POST. */
function failed(part: Buffer, call: Call, pending: PendingRequests): void {
  try {
    resultOf(part);
  } catch (error) {
    pending.fail(call, error);
  }
}
