import { idAtEnd, readEnvelope, type Envelope } from './envelope.js';
import { Gather } from './gather.js';

export interface LineHandler {
  /** A whole line, without its end; never empty. */
  line(bytes: Buffer): void;
  /** A line beyond the cap has ended. What it was, as far as its first and last bytes tell. */
  tooLong(envelope: Envelope): void;
}

const HEAD = 65_536;
const TAIL = 512;
const LF = 0x0a;
const CR = 0x0d;

/** Cuts a stream of bytes into lines, in linear time. A line of more than `cap` bytes is passed over without being kept. */
export class LineSplitter {
  readonly #handler: LineHandler;
  readonly #cap: number;
  readonly #rest = new Gather();
  #head: Buffer | undefined;
  #tail = Buffer.alloc(0);

  constructor(handler: LineHandler, cap: number) {
    this.#handler = handler;
    this.#cap = cap;
  }

  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      const end = chunk.indexOf(LF, at);
      if (end < 0) return this.#keep(at === 0 ? chunk : chunk.subarray(at));
      const line = chunk.subarray(at, end);
      at = end + 1;
      if (this.#rest.length === 0 && !this.#head && line.length <= this.#cap) this.#line(line);
      else {
        this.#keep(line);
        this.#finish();
      }
    }
  }

  /** The input has ended. A last line without its end counts if it is whole. */
  end(): void {
    if (this.#head) return this.#finish();
    const line = this.#rest.take();
    try {
      JSON.parse(line.toString());
    } catch {
      return;
    }
    this.#line(line);
  }

  #keep(part: Buffer): void {
    if (this.#head) {
      this.#tail = Buffer.concat([this.#tail, part.subarray(-TAIL)]).subarray(-TAIL);
      return;
    }
    this.#rest.add(part);
    if (this.#rest.length <= this.#cap) return;
    const bytes = this.#rest.take();
    this.#head = Buffer.from(bytes.subarray(0, HEAD));
    this.#tail = Buffer.from(bytes.subarray(-TAIL));
  }

  #finish(): void {
    if (!this.#head) return this.#line(this.#rest.take());
    const seen = readEnvelope(this.#head, 0, this.#head.length);
    const id = idAtEnd(this.#tail, 0, this.#tail.length) ?? seen.id;
    this.#head = undefined;
    this.#handler.tooLong({
      ...seen,
      id,
      kind: id !== undefined && seen.kind === 'notification' ? 'request' : seen.kind,
    });
  }

  #line(line: Buffer): void {
    const bytes = line[line.length - 1] === CR ? line.subarray(0, -1) : line;
    if (bytes.length > 0) this.#handler.line(bytes);
  }
}
