import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { HeaderFields, isCountersignError } from '@countersign/core';

describe('header fields', () => {
  test('agree with the Fetch standard on every name and value that it takes', () => {
    const text = fc.string({
      unit: fc.constantFrom('a', 'B', '-', ' ', '\t', '\n', '\r', '\0', 'é', '€', '\x7f', ':', '"', '1'),
      maxLength: 12,
    });
    fc.assert(
      fc.property(text, text, (name, value) => {
        let expected: [string, string][] | undefined;
        try {
          // The standard trims line breaks off the ends of a value; a secret that ends with one is refused here or trimmed as there.
          expected = [...new Headers([[name, value]])];
        } catch {
          expected = undefined;
        }
        try {
          const fields = new HeaderFields();
          fields.set(name, value);
          expect([...fields]).toEqual(expected);
        } catch (error) {
          if (!isCountersignError(error, 'INVALID_HEADER')) throw error;
          expect(expected === undefined || /[\0\x7f]/.test(value)).toBe(true);
        }
      }),
      { numRuns: 3000 },
    );
  });

  test('an error names the field and not the value', () => {
    expect(() => new HeaderFields([['X-Key', 'top-secret\nvalue']])).toThrow(
      expect.objectContaining({ code: 'INVALID_HEADER', message: expect.stringMatching(/^(?!.*top-secret).*X-Key/) }),
    );
  });

  test('join repeated fields, and a copy is its own', () => {
    const fields = new HeaderFields([
      ['Accept', 'a'],
      ['accept', 'b'],
    ]);
    const copy = new HeaderFields(fields);
    copy.delete('ACCEPT');
    expect([fields.get('ACCEPT'), copy.has('accept')]).toEqual(['a, b', false]);
  });
});
