import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { visibleJson, visibleText } from './visible-text.js';

const point = (code: number): string => String.fromCodePoint(code);

const hidden: [string, number, string][] = [
  ['NUL', 0x00, '\\u0000'],
  ['backspace', 0x08, '\\u0008'],
  ['carriage return', 0x0d, '\\u000d'],
  ['escape', 0x1b, '\\u001b'],
  ['delete', 0x7f, '\\u007f'],
  ['C1 CSI', 0x9b, '\\u009b'],
  ['right-to-left override', 0x202e, '\\u202e'],
  ['first strong isolate', 0x2068, '\\u2068'],
  ['Arabic letter mark', 0x061c, '\\u061c'],
  ['zero-width space', 0x200b, '\\u200b'],
  ['zero-width joiner', 0x200d, '\\u200d'],
  ['byte order mark', 0xfeff, '\\ufeff'],
  ['soft hyphen', 0xad, '\\u00ad'],
  ['line separator', 0x2028, '\\u2028'],
  ['tag letter A', 0xe0041, '\\u{e0041}'],
  ['variation selector 256', 0xe01ef, '\\u{e01ef}'],
  ['lone surrogate', 0xd800, '\\ud800'],
];

describe('visibleText', () => {
  test.each(hidden)('shows %s escaped', (_, code, shown) => {
    expect(visibleText(`a${point(code)}b`)).toBe(`a${shown}b`);
  });

  test('disarms a whole escape sequence', () => {
    expect(visibleText('\u001b]0;owned\u0007\u001b[2J')).toBe('\\u001b]0;owned\\u0007\\u001b[2J');
  });

  test('leaves newline, tab, other scripts and emoji as they are', () => {
    const text = 'one\n\ttwo Ångström 日本語 שלום 🖥️ ✅';
    expect(visibleText(text)).toBe(text);
  });

  test('takes CR LF for a newline', () => {
    expect(visibleText('one\r\ntwo')).toBe('one\ntwo');
  });

  test('lets no dangerous code point through, whatever the text', () => {
    const dangerous = fc.constantFrom(...hidden.map(([, code]) => point(code)));
    const text = fc
      .array(fc.oneof(dangerous, fc.string({ unit: 'binary' })), { maxLength: 40 })
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(text, (input) => {
        const shown = visibleText(input);
        // Unicode's own classes, and not our ranges, judge: controls, formats and lone surrogates.
        expect(shown.replace(/[\n\t]/g, '')).not.toMatch(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/u);
        expect(shown).not.toMatch(/[\p{Bidi_Control}\u200b-\u200d\u2060-\u2064\ufeff\u{e0000}-\u{e007f}]/u);
      }),
      { numRuns: 1000 },
    );
  });

  test('changes nothing on a second pass', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (input) => {
        expect(visibleText(visibleText(input))).toBe(visibleText(input));
      }),
    );
  });
});

describe('visibleJson', () => {
  test('gives a document of the same value without anything hidden', () => {
    fc.assert(
      fc.property(fc.json({ stringUnit: 'binary' }), (json) => {
        const shown = visibleJson(json);
        expect(JSON.parse(shown)).toEqual(JSON.parse(json));
        expect(shown.replace(/[\n\t]/g, '')).not.toMatch(/[\p{Cc}\p{Cs}]/u);
      }),
    );
  });

  test('writes a tag character as its two halves', () => {
    expect(visibleJson(JSON.stringify(point(0xe0041)))).toBe('"\\udb40\\udc41"');
  });
});
