const NEWLINE = 10;

export interface LineReaderOptions {
  /** The longest line, in bytes. */
  readonly maxLength: number;
  readonly onLine: (line: string) => void;
  /** Takes the beginning and the end of a line that was too long; the line itself is passed over. */
  readonly onTooLong: (start: string, end: string) => void;
}

const KEPT = 256; // bytes of the beginning and of the end of a line that is too long

/** Cuts bytes into lines, in time linear in their number, and holds no more than one line. */
export class LineReader {
  readonly #options: LineReaderOptions;
  #chunks: Buffer[] = [];
  #length = 0;
  /** Set while a line that is too long passes by. */
  #passing: { start: string; end: Buffer } | undefined;

  constructor(options: LineReaderOptions) {
    this.#options = options;
  }

  push(chunk: Buffer): void {
    let at = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, at)) {
      this.#take(chunk.subarray(at, end));
      this.#finish();
      at = end + 1;
    }
    if (at < chunk.length) this.#take(chunk.subarray(at));
  }

  #take(part: Buffer): void {
    if (!this.#passing && this.#length + part.length > this.#options.maxLength) {
      this.#passing = {
        start: Buffer.concat([...this.#chunks, part.subarray(0, KEPT)]).toString('utf8', 0, KEPT),
        end: Buffer.alloc(0),
      };
      this.#chunks = [];
      this.#length = 0;
    }
    if (this.#passing) {
      this.#passing.end = Buffer.concat([this.#passing.end, part.subarray(-KEPT)]).subarray(-KEPT);
    } else if (part.length > 0) {
      this.#chunks.push(part);
      this.#length += part.length;
    }
  }

  #finish(): void {
    const passing = this.#passing;
    const line = passing
      ? ''
      : this.#chunks.length === 1
        ? this.#chunks[0]!.toString('utf8')
        : Buffer.concat(this.#chunks).toString('utf8');
    this.#passing = undefined;
    this.#chunks = [];
    this.#length = 0;
    if (passing) this.#options.onTooLong(passing.start, passing.end.toString('utf8'));
    else this.#options.onLine(line.endsWith('\r') ? line.slice(0, -1) : line);
  }
}
