import { CountersignError } from './errors.js';

const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/; // token, RFC 9110 5.6.2
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/; // field-value, RFC 9110 5.5: Latin-1 without control characters

/**
 * Header fields with the semantics of the Fetch standard's `Headers` (names in lower case, values trimmed), at a fraction of its cost.
 * `set` throws INVALID_HEADER, which names the field and never the value.
 */
export class HeaderFields implements Iterable<[string, string]> {
  readonly #fields: Map<string, string>;

  constructor(fields?: Iterable<readonly [string, string]>) {
    if (fields instanceof HeaderFields) {
      this.#fields = new Map(fields.#fields);
    } else {
      this.#fields = new Map();
      if (fields) for (const [name, value] of fields) this.append(name, value);
    }
  }

  /** Of a received message: node's `rawHeaders`, which its parser has checked. */
  static received(rawHeaders: readonly string[]): HeaderFields {
    const received = new HeaderFields();
    for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
      const name = (rawHeaders[i] as string).toLowerCase();
      const before = received.#fields.get(name);
      const value = rawHeaders[i + 1] as string;
      received.#fields.set(name, before === undefined ? value : `${before}, ${value}`);
    }
    return received;
  }

  get(name: string): string | undefined {
    return this.#fields.get(name.toLowerCase());
  }

  has(name: string): boolean {
    return this.#fields.has(name.toLowerCase());
  }

  set(name: string, value: string): void {
    if (!NAME.test(name))
      throw new CountersignError(
        'INVALID_HEADER',
        `The header name ${JSON.stringify(name.slice(0, 80))} holds a character that HTTP does not allow.`,
      );
    const trimmed = value.trim();
    if (!VALUE.test(trimmed))
      throw new CountersignError(
        'INVALID_HEADER',
        `The value of header ${name} holds a character that HTTP does not allow.`,
      );
    this.#fields.set(name.toLowerCase(), trimmed);
  }

  /** Adds to a field that may be there already, joined by a comma (RFC 9110 5.3). */
  append(name: string, value: string): void {
    const current = this.get(name);
    this.set(name, current === undefined ? value : `${current}, ${value}`);
  }

  delete(name: string): void {
    this.#fields.delete(name.toLowerCase());
  }

  [Symbol.iterator](): IterableIterator<[string, string]> {
    return this.#fields[Symbol.iterator]();
  }
}
