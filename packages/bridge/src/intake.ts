import type { Readable } from 'node:stream';

/** Bytes on their way to the server above which stdin waits. */
const FULL = 67_108_864;
/** Milliseconds between looks at a stdin that waits. */
const LOOK = 500;

/** How much of stdin the bridge takes: it waits while too much is on its way to the server, or while `busy` says so. */
export class Intake {
  readonly #stdin: Readable;
  readonly #busy: () => boolean;
  readonly #closing: AbortSignal;
  #bytes = 0;

  constructor(stdin: Readable, busy: () => boolean, closing: AbortSignal) {
    this.#stdin = stdin;
    this.#busy = busy;
    this.#closing = closing;
  }

  /** So many bytes more are on their way, or fewer. */
  count(bytes: number): void {
    this.#bytes += bytes;
    this.flow();
  }

  /** Lets stdin flow or wait. */
  readonly flow = (): void => {
    const wait = this.#bytes > FULL || this.#busy();
    if (wait === this.#stdin.isPaused()) return;
    if (wait) this.#wait();
    else if (!this.#closing.aborted) this.#stdin.resume();
  };

  /** Stops stdin, but for a look now and then: whether it has ended shows only behind what is still in it. */
  #wait(): void {
    this.#stdin.pause();
    setTimeout(() => {
      if (this.#stdin.isPaused() && !this.#closing.aborted) this.#stdin.resume();
    }, LOOK).unref();
  }
}
