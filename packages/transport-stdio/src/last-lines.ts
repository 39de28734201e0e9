import { excerpt, visibleText } from '@countersign/core';

const KEPT_BYTES = 16_384;
const SHOWN_LINES = 10;
const SHOWN_CHARACTERS = 500; // of each line

/** The end of what a process wrote to stderr, in bounded memory. */
export class LastLines {
  #tail = Buffer.alloc(0);

  push(chunk: Buffer): void {
    this.#tail =
      chunk.length >= KEPT_BYTES
        ? Buffer.from(chunk.subarray(-KEPT_BYTES))
        : Buffer.concat([this.#tail, chunk]).subarray(-KEPT_BYTES);
  }

  /** The last lines that are not blank, without what `redact` hides, made safe for a terminal. */
  shown(redact: (text: string) => string): string[] {
    const lines = redact(this.#tail.toString('utf8'))
      .split('\n')
      .map((line) => line.trim())
      .filter(Boolean);
    if (this.#tail.length === KEPT_BYTES) lines.shift(); // its beginning is cut off, perhaps within a secret
    return lines.slice(-SHOWN_LINES).map((line) => visibleText(excerpt(line, SHOWN_CHARACTERS)));
  }
}
