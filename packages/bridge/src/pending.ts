import { CountersignError } from '@countersign/core';
import { describe, errorAnswer } from './answers.js';
import { idKey, type Envelope } from './envelope.js';
import type { Output } from './output.js';

/** Milliseconds that a response may stay open behind its answer. */
export const LINGER = 10_000;

/** One request that somebody waits for. */
export interface Pending {
  readonly id: string;
  readonly key: string;
  readonly method: string;
  readonly call: Call;
  /** Set for the bridge's own requests, whose answers don't go to the client. */
  readonly own: Waiter | undefined;
  /** The client takes no answer any more. */
  cancelled?: boolean;
}

export interface Waiter {
  answer(bytes: Buffer): void;
  fail(error: unknown): void;
}

/** One message of the client on its way: a request, a batch, or what nobody answers. */
export interface Call {
  readonly body: Buffer;
  readonly batch: boolean;
  readonly pending: Set<Pending>;
  readonly controller: AbortController;
  /** When its last progress notification went to the client (performance.now). */
  progressAt?: number;
  timer?: NodeJS.Timeout;
  /** Its own response has ended. */
  done?: boolean;
  /** What the deadline has been moved by: the output's stalled time that is accounted for, and the one second of doubt. */
  stalled: number;
  spared?: boolean;
}

/** The requests under way. Each is answered once: by the server or by one error, whichever takes it out first. */
export class PendingRequests {
  readonly #output: Output;
  readonly #timeout: number;
  readonly #late: (ids: readonly string[]) => void;
  readonly #byKey = new Map<string, Set<Pending>>();
  #size = 0;

  /** `timeout`: milliseconds that a request may take. `late` is told of the client's requests that took longer. */
  constructor(output: Output, timeout: number, late: (ids: readonly string[]) => void) {
    this.#output = output;
    this.#late = late;
    this.#timeout = timeout;
  }

  /** How many wait for an answer. */
  get size(): number {
    return this.#size;
  }

  /** A call for a message: its requests entered, its deadline running. */
  open(body: Buffer, messages: readonly Envelope[], batch = false, own?: Waiter): Call {
    const call: Call = {
      body,
      batch,
      pending: new Set(),
      controller: new AbortController(),
      stalled: this.#output.stalled,
    };
    for (const { kind, id, method } of messages) {
      if (kind !== 'request') continue;
      const pending: Pending = { id: id!, key: idKey(id!), method: method!, call, own };
      call.pending.add(pending);
      const same = this.#byKey.get(pending.key);
      if (same) same.add(pending);
      else this.#byKey.set(pending.key, new Set([pending]));
      this.#size++;
    }
    call.timer = setTimeout(this.#expire, this.#timeout, call).unref();
    return call;
  }

  /** Takes out whoever waits for the id, first of all in `call`. */
  take(id: string, call?: Call): Pending | undefined {
    let taken: Pending | undefined;
    for (const pending of this.#byKey.get(idKey(id)) ?? []) {
      if (taken === undefined || pending.call === call) taken = pending;
      if (pending.call === call) break;
    }
    if (taken) this.#remove(taken);
    return taken;
  }

  /** Answers everything in the call that is still open with an error. */
  fail(call: Call, error: unknown): void {
    for (const pending of [...call.pending]) {
      this.#remove(pending);
      if (pending.own) pending.own.fail(error);
      else if (!pending.cancelled) this.#output.write(errorAnswer(pending.id, describe(error)));
    }
  }

  /** Answers every open request with an error, and ends its call. */
  failAll(error: unknown): void {
    const calls = new Set([...this.#byKey.values()].flatMap((same) => [...same].map((pending) => pending.call)));
    for (const call of calls) {
      this.fail(call, error);
      call.controller.abort(error);
    }
  }

  /** The client cancelled the request and takes no answer: its call ends in a second, unless the server answers after all. */
  forget(id: string): void {
    for (const pending of this.#byKey.get(idKey(id)) ?? []) {
      if (pending.own || pending.cancelled) continue;
      pending.cancelled = true;
      this.#size--;
      setTimeout(() => {
        this.#remove(pending);
        if (pending.call.pending.size === 0) pending.call.controller.abort();
      }, 1000).unref();
    }
  }

  /** The call was answered on another stream: its own response gets a while to end by itself, and no longer. */
  linger(call: Call): void {
    if (call.pending.size === 0 && !call.done) call.timer = setTimeout(() => call.controller.abort(), LINGER).unref();
  }

  /** The server has done with the call. An answer that is still open may come on another stream, until the deadline. */
  close(call: Call): void {
    call.done = true;
    if (call.pending.size === 0) clearTimeout(call.timer);
  }

  #remove(pending: Pending): void {
    if (!pending.call.pending.delete(pending)) return;
    const same = this.#byKey.get(pending.key)!;
    same.delete(pending);
    if (same.size === 0) this.#byKey.delete(pending.key);
    if (pending.call.pending.size === 0) clearTimeout(pending.call.timer);
    if (!pending.cancelled) this.#size--;
  }

  /** At the deadline, which the time that the client read nothing doesn't count towards: its answer may be waiting for it. */
  readonly #expire = (call: Call): void => {
    const { stalled, full } = this.#output;
    let spared = stalled - call.stalled;
    call.stalled = stalled;
    if (spared <= 0 && full && !call.spared) {
      call.spared = true;
      spared = 1000; // by then it is known whether the client is slow or has stopped
    }
    if (spared > 0) {
      call.timer = setTimeout(this.#expire, spared, call).unref();
      return;
    }
    const error = new CountersignError('TIMEOUT', `The server did not answer within ${this.#timeout / 1000} seconds.`);
    const late = [...call.pending].flatMap(({ id, method, own }) => (own || method === 'initialize' ? [] : [id]));
    this.fail(call, error);
    call.controller.abort(error);
    if (late.length > 0) this.#late(late);
  };
}
