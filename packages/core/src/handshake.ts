import { CountersignError } from './errors.js';
import type { PendingRequest, PendingRequests } from './pending-requests.js';
import type { JsonRpcMessage } from './transport-provider.js';

/** Remembers how the client started its session, to start another in its place when the server has lost it. */
export class Handshake {
  readonly #server: string;
  readonly #pending: PendingRequests;
  readonly #waiting = new Map<unknown, (answer: JsonRpcMessage) => void>();
  #initialize: JsonRpcMessage | undefined;
  #repeated = 0;

  constructor(server: string, pending: PendingRequests) {
    this.#server = server;
    this.#pending = pending;
  }

  /** True once the client has sent its `initialize`. */
  get known(): boolean {
    return this.#initialize !== undefined;
  }

  remember(initialize: JsonRpcMessage): void {
    this.#initialize = initialize;
  }

  /** True for the answer to a repeated `initialize`, which is not for the client. */
  takes(message: JsonRpcMessage): boolean {
    const resolve = 'method' in message ? undefined : this.#waiting.get(message['id']);
    resolve?.(message);
    return resolve !== undefined;
  }

  /** Sends the client's `initialize` again, under an id of its own, and resolves with the negotiated version. Throws SERVER_ERROR when the server declines. */
  async repeat(send: (message: JsonRpcMessage, request: PendingRequest) => Promise<void>): Promise<string | undefined> {
    const message: JsonRpcMessage = { ...this.#initialize!, id: `countersign-${++this.#repeated}` };
    const request = this.#pending.begin(message)!;
    try {
      const answer = await new Promise<JsonRpcMessage>((resolve, reject) => {
        this.#waiting.set(request.id, resolve);
        send(message, request).catch(reject);
      });
      const result = answer['result'] as { protocolVersion?: string } | undefined;
      if (result) return result.protocolVersion;
      throw new CountersignError('SERVER_ERROR', `Server ${this.#server} lost the session, and starts no other.`, {
        server: this.#server,
      });
    } finally {
      this.#waiting.delete(request.id);
      this.#pending.drop(request.id);
    }
  }
}
