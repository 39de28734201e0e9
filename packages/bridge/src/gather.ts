const SMALL = 4096;

/**
 * Bytes that come in pieces. Small pieces are copied together, so that a server which sends a byte at a time costs a byte at a time, and so
 * that a few bytes don't hold on to the whole block that they were read into.
 */
export class Gather {
  length = 0;
  #parts: Buffer[] = [];
  #block: Buffer | undefined;
  #used = 0;

  add(part: Buffer): void {
    if (part.length === 0) return;
    if (part.length >= SMALL) {
      this.#seal();
      this.#parts.push(part);
    } else {
      if (this.#block && this.#used + part.length > this.#block.length) this.#seal();
      this.#block ??= Buffer.allocUnsafeSlow(Math.max(part.length, Math.min(65_536, Math.max(1024, this.length))));
      this.#used += part.copy(this.#block, this.#used);
    }
    this.length += part.length;
  }

  /** Everything, in one piece; nothing is left. */
  take(): Buffer {
    this.#seal();
    const parts = this.#parts;
    const length = this.length;
    this.clear();
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts, length);
  }

  clear(): void {
    this.length = 0;
    this.#parts = [];
    this.#block = undefined;
    this.#used = 0;
  }

  #seal(): void {
    if (this.#block && this.#used > 0) this.#parts.push(this.#block.subarray(0, this.#used));
    this.#block = undefined;
    this.#used = 0;
  }
}
