import { CountersignError } from '@countersign/core';
import { Gather } from './gather.js';

export type SseHandler = (data: Buffer, event: string) => void;

const LF = 0x0a;
const CR = 0x0d;
const COLON = 0x3a;
const SPACE = 0x20;
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);
const BLANK = Buffer.from(' ');

/**
 * An event stream (HTML standard, 9.2.6), by bytes. An event's data is handed on without being decoded; the line ends within it, which
 * JSON can only have between its tokens, become spaces. An event that the stream's end cuts is dropped, and its id does not count.
 */
export class SseParser {
  /** Of the last event that came whole: what a resumption names. */
  lastEventId: string | undefined;
  /** Milliseconds that the server wants a reconnect to wait. */
  retry: number | undefined;

  readonly #handler: SseHandler;
  readonly #cap: number;
  readonly #rest = new Gather();
  /** The first data line, and from the second on all of them. */
  #data: Buffer | undefined;
  readonly #lines = new Gather();
  #seen = 0;
  #event = '';
  #id: string | undefined;
  #first = true;
  #afterCr = false;

  /** `cap`: bytes of one event; beyond it `push` throws TOO_LARGE. */
  constructor(handler: SseHandler, cap: number) {
    this.#handler = handler;
    this.#cap = cap;
  }

  /** A new connection continues the stream: what the old one left half is dropped. */
  reset(): void {
    this.#rest.clear();
    this.#first = true;
    this.#afterCr = false;
    this.#clear();
    this.#id = this.lastEventId;
  }

  push(chunk: Buffer): void {
    let at = 0;
    if (this.#afterCr && chunk.length > 0) {
      this.#afterCr = false;
      if (chunk[0] === LF) at = 1;
    }
    let cr = chunk.indexOf(CR, at);
    while (at < chunk.length) {
      let end = chunk.indexOf(LF, at);
      if (cr >= 0 && cr < at) cr = chunk.indexOf(CR, at);
      if (cr >= 0 && (end < 0 || cr < end)) end = cr;
      if (end < 0) {
        this.#keep(at === 0 ? chunk : chunk.subarray(at));
        return;
      }
      let line = chunk.subarray(at, end);
      if (this.#rest.length > 0) {
        this.#keep(line);
        line = this.#rest.take();
      }
      at = end + 1;
      if (end === cr) {
        if (at === chunk.length) this.#afterCr = true;
        else if (chunk[at] === LF) at++;
      }
      this.#line(line);
    }
  }

  #keep(part: Buffer): void {
    this.#rest.add(part);
    this.#check(this.#rest.length + Math.max(this.#lines.length, this.#data?.length ?? 0));
  }

  #check(length: number): void {
    // The cap is on the message; the field's name and the event's other fields are given some room.
    if (length > this.#cap + 1024)
      throw new CountersignError('TOO_LARGE', `The server sent an event of more than ${this.#cap} bytes.`);
  }

  #line(line: Buffer): void {
    if (this.#first) {
      this.#first = false;
      if (line.length >= 3 && line.compare(BOM, 0, 3, 0, 3) === 0) line = line.subarray(3);
    }
    if (line.length === 0) {
      this.#dispatch();
      return;
    }
    // Only four names matter, and each has its own first letter: data, event, id, retry.
    switch (line[0]) {
      case 0x64: {
        const value = valueOf(line, 'data');
        if (value === undefined) return;
        if (this.#data === undefined) this.#data = value;
        else {
          if (this.#lines.length === 0) {
            this.#lines.add(this.#data);
            this.#seen = this.#data.length;
          }
          this.#lines.add(BLANK);
          this.#lines.add(value);
          // An empty line costs the server five bytes and us one: it counts as five.
          this.#check((this.#seen += line.length));
        }
        return;
      }
      case 0x65:
        this.#event = valueOf(line, 'event')?.toString() ?? this.#event;
        return;
      case 0x69: {
        const id = valueOf(line, 'id');
        // NUL is excluded by the standard, other control characters by what a header can carry back.
        if (id && !id.some((byte) => byte < 0x20 || byte === 0x7f)) this.#id = id.toString('latin1');
        return;
      }
      case 0x72: {
        const retry = valueOf(line, 'retry')?.toString('latin1');
        if (retry && /^\d{1,9}$/.test(retry)) this.retry = Number(retry);
      }
    }
  }

  #dispatch(): void {
    this.lastEventId = this.#id;
    const data = this.#lines.length > 0 ? this.#lines.take() : this.#data;
    const event = this.#event || 'message';
    this.#clear();
    if (data && data.length > 0) this.#handler(data, event);
  }

  #clear(): void {
    this.#data = undefined;
    this.#lines.clear();
    this.#seen = 0;
    this.#event = '';
  }
}

/** A field's value, if the line has that field's name. The name's first letter has been compared. */
function valueOf(line: Buffer, name: string): Buffer | undefined {
  const length = name.length;
  if (line.length > length && line[length] !== COLON) return undefined;
  if (line.toString('latin1', 0, length) !== name) return undefined;
  return line.subarray(line[length + 1] === SPACE ? length + 2 : length + 1);
}
