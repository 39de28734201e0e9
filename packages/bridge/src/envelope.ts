/** What the bridge reads of a JSON-RPC message. The rest of its bytes is passed over, not decoded. */
export interface Envelope {
  /** The id as it stands in the bytes: `7`, `"a"`, `null`. */
  readonly id: string | undefined;
  readonly method: string | undefined;
  /** A request waits for an answer; a response holds a result or an error. */
  readonly kind: 'request' | 'notification' | 'response' | 'invalid';
  /** The message's first byte, and the one after its last. */
  readonly start: number;
  readonly end: number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/** From this size on, an id at the message's end is looked for before a value is walked through. */
const WORTH_A_LOOK = 512;
/** Elements of a batch: an envelope is larger than an element may be, so a message of millions would be a burden. */
const LARGEST_BATCH = 10_000;
/** An id longer than this is not looked for from the end. */
const LONGEST_ID = 300;

/**
 * Finds the top-level id and method of a JSON-RPC message, and tells a batch's elements apart. Answers an empty list for what is no
 * JSON object or array, and for a batch of more than 10,000. Time is linear and no call is recursive, whatever the nesting. That brackets and
 * strings are closed at the very end is all that is proved of the rest.
 */
export function readEnvelopes(bytes: Buffer): Envelope[] {
  const start = skipSpace(bytes, 0);
  const last = skipSpaceBack(bytes, bytes.length);
  if (closeOf(bytes, start) !== last) return []; // it was cut, or has something behind it
  if (bytes[start] === OPEN_BRACE) return [readEnvelope(bytes, start, last)];
  const envelopes: Envelope[] = [];
  if (bytes[start] !== OPEN_BRACKET) return envelopes;
  let at = skipSpace(bytes, start + 1);
  while (at < bytes.length && bytes[at] !== CLOSE_BRACKET) {
    const end = skipValue(bytes, at);
    envelopes.push(bytes[at] === OPEN_BRACE ? readEnvelope(bytes, at, end) : { ...NOTHING, start: at, end });
    if (envelopes.length > LARGEST_BATCH) return [];
    at = skipSpace(bytes, end);
    if (bytes[at] !== COMMA) break;
    at = skipSpace(bytes, at + 1);
  }
  return envelopes;
}

/** A string, a number or null; it goes back to the client as it stands. */
function isId(text: string): boolean {
  if (/^-?(?:0|[1-9]\d{0,14})$/.test(text)) return true;
  try {
    const id: unknown = JSON.parse(text);
    return id === null || typeof id === 'string' || typeof id === 'number';
  } catch {
    return false;
  }
}

const NOTHING = { id: undefined, method: undefined, kind: 'invalid' } as const;

/** True for a batch: the first byte that is not white space opens an array. */
export function isBatch(bytes: Buffer): boolean {
  return bytes[skipSpace(bytes, 0)] === OPEN_BRACKET;
}

/** Two spellings of one id (`"\u0061"` and `"a"`, `1.0` and `1`) have one key. */
export function idKey(id: string): string {
  if (/^(?:-?\d{1,15}|"[^"\\]*"|null)$/.test(id)) return id;
  try {
    return JSON.stringify(JSON.parse(id));
  } catch {
    return id;
  }
}

/** Reads the message in `bytes[start, end)`, or as much of it as there is. */
export function readEnvelope(bytes: Buffer, start: number, end: number): Envelope {
  let id: string | undefined;
  let method: string | undefined;
  let answers = false;
  let looked = end - start < WORTH_A_LOOK;
  let at = skipSpace(bytes, start + 1);
  while (at < end && bytes[at] === QUOTE) {
    const keyEnd = skipString(bytes, at);
    const key = keyOf(bytes, at + 1, keyEnd - 1);
    at = skipSpace(bytes, keyEnd);
    if (bytes[at] !== COLON) break;
    at = skipSpace(bytes, at + 1);
    const value = at;
    if (key === 'result' || key === 'error') answers = true;
    const container = bytes[at] === OPEN_BRACE || bytes[at] === OPEN_BRACKET;
    if (container && id === undefined && !looked) {
      looked = true;
      id = idAtEnd(bytes, at, end);
    }
    if (id !== undefined && (answers || method !== undefined)) break;
    at = skipValue(bytes, at);
    if (key === 'id') id = bytes.toString('utf8', value, Math.min(at, end));
    else if (key === 'method' && bytes[value] === QUOTE) method = unquote(bytes, value, at);
    if (id !== undefined && (answers || method !== undefined)) break;
    at = skipSpace(bytes, at);
    if (bytes[at] !== COMMA) break;
    at = skipSpace(bytes, at + 1);
  }
  if (id !== undefined && !isId(id)) return { ...NOTHING, start, end };
  const kind =
    method !== undefined ? (id === undefined ? 'notification' : 'request') : answers ? 'response' : 'invalid';
  return { id, method, kind, start, end };
}

/**
 * The id that is the last member of the object which ends at `end`: many servers write it there, behind megabytes of result. In valid JSON
 * a string can't hold a bare quote, so the bytes `,"id":7}` before the end can be nothing else.
 */
export function idAtEnd(bytes: Buffer, start: number, end: number): string | undefined {
  let at = skipSpaceBack(bytes, end);
  if (bytes[at - 1] !== CLOSE_BRACE) return undefined;
  const to = (at = skipSpaceBack(bytes, at - 1));
  const floor = Math.max(start, at - LONGEST_ID);
  if (bytes[at - 1] === QUOTE) {
    at -= 2;
    while (at > floor && !(bytes[at] === QUOTE && !escaped(bytes, at))) at--;
  } else {
    while (at > floor && isPlain(bytes[at - 1]!)) at--;
  }
  const from = at;
  if (from >= to || from <= floor) return undefined;
  at = skipSpaceBack(bytes, at);
  if (bytes[--at] !== COLON) return undefined;
  at = skipSpaceBack(bytes, at);
  if (at - 4 < start || bytes.toString('latin1', at - 4, at) !== '"id"') return undefined;
  at = skipSpaceBack(bytes, at - 4);
  return bytes[at - 1] === COMMA || bytes[at - 1] === OPEN_BRACE ? bytes.toString('utf8', from, to) : undefined;
}

/** The members of the object that begins at `start`: each key, and where its value is. Values are skipped, not parsed; a key beyond 200 bytes is "". */
export function* members(bytes: Buffer, start: number): Generator<readonly [key: string, from: number, to: number]> {
  if (bytes[start] !== OPEN_BRACE) return;
  let at = skipSpace(bytes, start + 1);
  while (bytes[at] === QUOTE) {
    const end = skipString(bytes, at);
    const key = end - at > 200 ? '' : (unquote(bytes, at, end) ?? '');
    at = skipSpace(bytes, end);
    if (bytes[at] !== COLON) return;
    const from = skipSpace(bytes, at + 1);
    const to = skipValue(bytes, from);
    yield [key, from, to];
    at = skipSpace(bytes, to);
    if (bytes[at] !== COMMA) return;
    at = skipSpace(bytes, at + 1);
  }
}

function keyOf(bytes: Buffer, from: number, to: number): 'id' | 'method' | 'result' | 'error' | '' {
  const text = to - from > 40 ? '' : bytes.toString('latin1', from, to);
  const key = text.includes('\\') ? unquote(bytes, from - 1, to + 1) : text;
  return key === 'id' || key === 'method' || key === 'result' || key === 'error' ? key : '';
}

function unquote(bytes: Buffer, from: number, to: number): string | undefined {
  try {
    return JSON.parse(bytes.toString('utf8', from, to)) as string;
  } catch {
    return undefined;
  }
}

/** The index after the value that begins at `at`, or the length of the bytes. */
function skipValue(bytes: Buffer, at: number): number {
  const first = bytes[at];
  if (first === QUOTE) return skipString(bytes, at);
  if (first !== OPEN_BRACE && first !== OPEN_BRACKET) {
    while (at < bytes.length && isPlain(bytes[at]!)) at++;
    return at;
  }
  const end = closeOf(bytes, at);
  return end < 0 ? bytes.length : end;
}

/** The index after the bracket that closes the one at `at`, strings passed over; -1 where none does. */
function closeOf(bytes: Buffer, at: number): number {
  let depth = 0;
  while (at < bytes.length) {
    const byte = bytes[at]!;
    if (byte === QUOTE) {
      at = skipString(bytes, at);
      continue;
    }
    at++;
    if (byte === OPEN_BRACE || byte === OPEN_BRACKET) depth++;
    else if ((byte === CLOSE_BRACE || byte === CLOSE_BRACKET) && --depth === 0) return at;
  }
  return -1;
}

/** The index after the closing quote. Short strings are walked; a long one is left to the search that the machine does best. */
function skipString(bytes: Buffer, at: number): number {
  const soon = Math.min(bytes.length, at + 24);
  for (at++; at < soon; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) return at + 1;
    if (byte === BACKSLASH) at++;
  }
  for (;;) {
    const quote = bytes.indexOf(QUOTE, at);
    if (quote < 0) return bytes.length;
    // `at` stands behind a whole character, so no backslash before it counts.
    let before = quote;
    while (before > at && bytes[before - 1] === BACKSLASH) before--;
    if ((quote - before) % 2 === 0) return quote + 1;
    at = quote + 1;
  }
}

function escaped(bytes: Buffer, at: number): boolean {
  let before = at;
  while (bytes[before - 1] === BACKSLASH) before--;
  return (at - before) % 2 === 1;
}

/** A byte of a number, `true`, `false` or `null`. */
function isPlain(byte: number): boolean {
  return (
    (byte >= 0x30 && byte <= 0x39) ||
    (byte >= 0x61 && byte <= 0x7a) ||
    byte === 0x2d ||
    byte === 0x2b ||
    byte === 0x2e ||
    byte === 0x45
  );
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function skipSpace(bytes: Buffer, at: number): number {
  while (isSpace(bytes[at])) at++;
  return at;
}

function skipSpaceBack(bytes: Buffer, at: number): number {
  while (at > 0 && isSpace(bytes[at - 1])) at--;
  return at;
}
