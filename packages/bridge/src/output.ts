import type { Readable, Writable } from 'node:stream';

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
/** Bytes that may wait for the client before the server is made to wait. */
const FULL = 1_048_576;
/** Bytes gathered within one turn of the event loop before they are written at once. */
const GATHER = 131_072;
/** Bytes, on average, up to which copying messages together costs less than handing each to the system. */
const SMALL = 4096;
const NEWLINE = Buffer.from('\n');

/**
 * The way to the client: one line a message. Messages of one turn of the event loop leave in one write. When the client doesn't read,
 * `full` becomes true and whoever reads from the server stops, until the client has taken everything.
 */
export class Output {
  full = false;
  #fullSince = 0;
  #stalled = 0;
  readonly #stream: Writable;
  readonly #waiting = new Set<Readable>();
  readonly #onReady: () => void;
  readonly #later = new Map<NodeJS.Timeout, Buffer>();
  #queue: Buffer[] = [];
  #queued = 0;
  #scheduled = false;
  #broken = false;

  /** `onReady` is called when the client reads again after `full`, `onGone` once when it can't be written to any more. */
  constructor(stream: Writable, onReady: () => void, onGone: () => void) {
    this.#stream = stream;
    this.#onReady = onReady;
    stream.on('drain', this.#drained);
    const gone = (): void => {
      if (this.#broken) return;
      this.#broken = true;
      this.#queue = [];
      this.#drained();
      onGone();
    };
    stream.on('error', gone);
    stream.on('close', gone);
  }

  /** Milliseconds so far that the client read nothing. Only pauses of a second and more count: a client that is merely slow is reading. */
  get stalled(): number {
    const pause = this.full ? performance.now() - this.#fullSince : 0;
    return this.#stalled + (pause >= 1000 ? pause : 0);
  }

  /** One JSON-RPC message, with or without line ends between its tokens. The bytes are the output's from here on. */
  write(message: Buffer): void {
    if (this.#broken) return;
    blankOut(message, LF);
    blankOut(message, CR);
    this.#queue.push(message, NEWLINE);
    this.#queued += message.length + 1;
    if (this.#queued >= GATHER) this.flush();
    else if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(this.flush);
    }
  }

  /** Writes after `ms` milliseconds, or at the end if that comes first. */
  writeLater(message: Buffer, ms: number): void {
    const timer = setTimeout(() => {
      this.#later.delete(timer);
      this.write(message);
    }, ms);
    this.#later.set(timer, message);
  }

  /** Stops the stream until the client reads again; call it when `full`. */
  hold(body: Readable): void {
    body.pause();
    this.#waiting.add(body);
  }

  /** A held stream has ended otherwise. */
  release(body: Readable): void {
    this.#waiting.delete(body);
  }

  /** Resolves when everything has left the process, or can't. */
  async end(): Promise<void> {
    for (const [timer, message] of this.#later) {
      clearTimeout(timer);
      this.write(message);
    }
    this.#later.clear();
    this.flush();
    if (this.#broken || this.#stream.writableLength === 0) return;
    await new Promise<void>((resolve) => {
      this.#stream.once('close', resolve);
      this.#stream.write('', () => resolve());
    });
  }

  /** Writes what is gathered now: nothing else is under way that could go with it. */
  readonly flush = (): void => {
    this.#scheduled = false;
    const queue = this.#queue;
    const bytes = this.#queued;
    if (queue.length === 0) return;
    this.#queue = [];
    this.#queued = 0;
    if (bytes <= SMALL * queue.length) this.#stream.write(Buffer.concat(queue, bytes));
    else {
      this.#stream.cork();
      for (const part of queue) this.#stream.write(part);
      this.#stream.uncork();
    }
    if (this.full || this.#stream.writableLength <= FULL) return;
    this.full = true;
    this.#fullSince = performance.now();
  };

  readonly #drained = (): void => {
    if (!this.full) return;
    this.#stalled = this.stalled;
    this.full = false;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const body of waiting) body.resume();
    this.#onReady();
  };
}

/** JSON has line ends only between tokens, where a space serves as well. */
function blankOut(bytes: Buffer, byte: number): void {
  for (let at = bytes.indexOf(byte); at >= 0; at = bytes.indexOf(byte, at + 1)) bytes[at] = SPACE;
}
