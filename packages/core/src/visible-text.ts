// What a terminal or a reader of a log could be fooled by (R18): ranges of code points.
const RANGES: readonly (readonly [first: number, last: number])[] = [
  // C0 but tab and newline, DEL, C1.
  [0x00, 0x08],
  [0x0b, 0x1f],
  [0x7f, 0x9f],
  // Bidirectional controls.
  [0x61c, 0x61c],
  [0x200e, 0x200f],
  [0x202a, 0x202e],
  [0x2066, 0x206f],
  // Zero-width characters and fillers.
  [0xad, 0xad],
  [0x34f, 0x34f],
  [0x115f, 0x1160],
  [0x17b4, 0x17b5],
  [0x180b, 0x180f],
  [0x200b, 0x200d],
  [0x2060, 0x2065],
  [0x3164, 0x3164],
  [0xfeff, 0xfeff],
  [0xffa0, 0xffa0],
  // Variation selectors, which carry hidden data; U+FE0E and U+FE0F only choose how an emoji looks, and stay.
  [0xfe00, 0xfe0d],
  [0xe0100, 0xe01ef],
  // Tags.
  [0xe0000, 0xe007f],
  // Line and paragraph separators, interlinear annotations.
  [0x2028, 0x2029],
  [0xfff9, 0xfffb],
  // Lone surrogates: with the u flag a pair is one code point.
  [0xd800, 0xdfff],
];

const codePoint = (code: number): string => `\\u{${code.toString(16)}}`;
const HIDDEN = new RegExp(
  `[${RANGES.map(([first, last]) => `${codePoint(first)}-${codePoint(last)}`).join('')}]`,
  'gu',
);

/**
 * Text that others wrote, made safe for a terminal or a log: control characters but newline and tab, escape sequences,
 * bidirectional, zero-width and tag characters come out as `\u001b` or `\u{e0041}`. A CR LF becomes a newline. Never throws.
 */
export function visibleText(text: string): string {
  return text.replace(/\r\n/g, '\n').replace(HIDDEN, escaped);
}

/** The same for the text of a JSON document: an equal document, in ASCII wherever a terminal could be fooled. */
export function visibleJson(json: string): string {
  return json.replace(HIDDEN, (character) =>
    Array.from({ length: character.length }, (_, at) => unit(character.charCodeAt(at))).join(''),
  );
}

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return code > 0xffff ? codePoint(code) : unit(code);
}

const unit = (code: number): string => `\\u${code.toString(16).padStart(4, '0')}`;

/**
 * The beginning of what others wrote, cut between words: a secret that a cut went through would not be known to the redactor any more (R14).
 */
export function excerpt(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const whole = text.slice(0, limit + 1).replace(/\S*$/, '');
  return `${whole.trimEnd()}…`;
}
