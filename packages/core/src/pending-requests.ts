import { CountersignError } from './errors.js';
import type { JsonRpcMessage } from './transport-provider.js';

/** A request that a transport sent and that has no answer yet. */
export interface PendingRequest {
  readonly id: string | number;
  readonly method: string;
  /** Aborts when the request ended without the server's answer: nothing more is to be done for it. */
  readonly signal: AbortSignal;
  /** Aborts the signal: what still comes for it isn't wanted. */
  abort(): void;
}

export interface PendingRequestsOptions {
  /** The server's name, for the messages. */
  readonly server: string;
  /** Milliseconds that each request has, from `startTime` or its last progress on. */
  readonly timeout: number;
  /** Takes the answers that this side makes up. */
  answer(message: JsonRpcMessage): void;
  /** Called when a request's time is over, after its answer. */
  timedOut?(request: PendingRequest): void;
  /** A sentence for the TIMEOUT error: what is known of the reason. */
  explain?(request: PendingRequest): string | undefined;
}

type Entry = PendingRequest & { readonly progressToken: unknown; timer?: NodeJS.Timeout };

const LONGEST = 2 ** 31 - 1; // setTimeout fires at once beyond it
const CONNECTION_CLOSED = -32000; // the codes that the MCP SDK uses for the same
const REQUEST_TIMEOUT = -32001;

/** Sees to it that each request of a transport is answered exactly once: by the server, or with an error when the connection or the time is over. */
export class PendingRequests {
  readonly #options: PendingRequestsOptions;
  readonly #entries = new Map<string, Entry>();

  constructor(options: PendingRequestsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Notes a message that is about to be sent; answers undefined unless it is a request. */
  begin(message: JsonRpcMessage): PendingRequest | undefined {
    const { id, method } = message;
    if (typeof method !== 'string' || (typeof id !== 'string' && typeof id !== 'number')) return undefined;
    const controller = new AbortController();
    const { progressToken } = (message['params'] as { _meta?: { progressToken?: unknown } } | undefined)?._meta ?? {};
    const entry: Entry = { id, method, progressToken, signal: controller.signal, abort: () => controller.abort() };
    this.#entries.set(String(id), entry);
    return entry;
  }

  /** The request of that id, if it has no answer yet. */
  find(id: unknown): PendingRequest | undefined {
    return this.#entries.get(String(id));
  }

  has(request: PendingRequest): boolean {
    return this.#entries.get(String(request.id)) === request;
  }

  /** Starts the time of a request that has been handed over: what came before, a sign-in perhaps, has deadlines of its own. */
  startTime(request: PendingRequest): void {
    const entry = this.#entries.get(String(request.id));
    if (entry === request)
      entry.timer ??= setTimeout(() => this.#expire(entry), Math.min(this.#options.timeout, LONGEST));
  }

  /**
   * What the client is to see of a message that came: all but a second or foreign answer, for which undefined is returned. An answer ends its request,
   * `id` where the message's own isn't the request's; progress starts the request's time anew.
   */
  accept(message: JsonRpcMessage, id: unknown = message['id']): JsonRpcMessage | undefined {
    if ('method' in message) {
      if (message['method'] === 'notifications/progress') this.#progressed(message);
      return message;
    }
    const request = this.#remove(id);
    return request && { ...message, id: request.id };
  }

  /** Ends the request of that id without an answer, because the caller gave it up or was told otherwise. */
  drop(id: unknown): void {
    this.#remove(id)?.abort();
  }

  /** Answers the request with an error, which travels along as the JSON-RPC error's `data`. */
  fail(request: PendingRequest, error: CountersignError): void {
    if (!this.has(request)) return;
    this.drop(request.id);
    const code = error.code === 'TIMEOUT' ? REQUEST_TIMEOUT : CONNECTION_CLOSED;
    this.#options.answer({ jsonrpc: '2.0', id: request.id, error: { code, message: error.message, data: error } });
  }

  /** Answers all requests, or those that `which` takes, with the error. */
  failAll(error: CountersignError, which: (request: PendingRequest) => boolean = () => true): void {
    for (const entry of [...this.#entries.values()]) if (which(entry)) this.fail(entry, error);
  }

  #remove(id: unknown): Entry | undefined {
    const entry = this.#entries.get(String(id));
    this.#entries.delete(String(id));
    clearTimeout(entry?.timer);
    return entry;
  }

  #progressed(message: JsonRpcMessage): void {
    const token = (message['params'] as { progressToken?: unknown } | undefined)?.progressToken;
    if (token === undefined) return;
    for (const entry of this.#entries.values()) if (entry.progressToken === token) entry.timer?.refresh();
  }

  #expire(entry: Entry): void {
    const { server, timeout } = this.#options;
    const reason = this.#options.explain?.(entry);
    const message = `Server ${server} did not answer ${entry.method} within ${timeout / 1000} s.${reason ? ` ${reason}` : ''}`;
    this.fail(entry, new CountersignError('TIMEOUT', message, { server }));
    this.#options.timedOut?.(entry);
  }
}
