import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isCountersignError, Template, type Reference } from '@countersign/core';

const render = async (text: string, values: Record<string, string> = {}) => {
  const result = await new Template(text).render(({ name }) => values[name]);
  return 'text' in result ? result.text : result.missing;
};

describe('a template', () => {
  test.each([
    ['plain', {}, 'plain'],
    ['Bearer ${TOKEN}', { TOKEN: 'abc' }, 'Bearer abc'],
    ['${A}${B}', { A: '1', B: '2' }, '12'],
    ['${A:-fallback}', {}, 'fallback'],
    ['${A:-}', {}, ''],
    ['${A:-a:-b}', {}, 'a:-b'],
    ['${env:HOME_DIR}', { HOME_DIR: '/h' }, '/h'],
    ['${request:host}', { host: 'h' }, 'h'],
    ['$${A}', { A: 'x' }, '${A}'],
    ['$$${A}', { A: 'x' }, '$${A}'],
    ['$ {A} $A {A}', { A: 'x' }, '$ {A} $A {A}'],
    ['${A}', { A: '${B}', B: 'no' }, '${B}'],
  ])('renders %s', async (text, values, expected) => {
    expect(await render(text, values as Record<string, string>)).toBe(expected);
  });

  test('answers the first reference without a value', async () => {
    expect(await render('${A} ${B}', { A: '1' })).toMatchObject({ kind: 'variable', name: 'B' });
  });

  test.each(['${', '${}', '${A', '${1A}', '${A B}', '${file:x}', '${request:body}', '${env:}', 'x ${${A}}'])(
    'refuses %s',
    (text) => {
      expect(() => new Template(text, 'Header X of server s')).toThrow(
        expect.objectContaining({ code: 'INVALID_TEMPLATE', message: expect.stringContaining('Header X of server s') }),
      );
    },
  );

  test('quotes nothing that follows a ${ without its brace: it may be a secret', () => {
    expect(() => new Template('ab${canary-secret', 'Header X')).toThrow('Header X holds a ${ without its }.');
  });

  test('never throws anything untyped, and renders text without ${ as it stands', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: fc.constantFrom('$', '{', '}', ':', '-', 'A', 'é', '\n', ' '), maxLength: 60 }),
        async (text) => {
          try {
            const result = await new Template(text).render(() => 'v');
            if (!text.includes('${')) expect(result).toEqual({ text });
          } catch (error) {
            expect(isCountersignError(error, 'INVALID_TEMPLATE')).toBe(true);
          }
        },
      ),
    );
  });

  test('does not expand what a value contains', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string(), async (value) => {
        expect(await new Template('<${A}>').render(() => value)).toEqual({ text: `<${value}>` });
      }),
    );
  });

  test('parses a megabyte in linear time', () => {
    const measure = (size: number) => {
      const text = '${A}$${'.repeat(size / 7);
      const start = process.cpuUsage().user;
      expect(new Template(text).references).toHaveLength(Math.floor(size / 7));
      return process.cpuUsage().user - start;
    };
    measure(70_000);
    expect(measure(1_400_000)).toBeLessThan(60 * Math.max(measure(70_000), 5_000));
  });

  test('knows whether it is one variable alone', () => {
    const bare = (text: string): Reference | undefined => new Template(text).bare;
    expect(bare('${A}')?.name).toBe('A');
    expect([bare('${A:-x}'), bare('${env:A}'), bare(' ${A}'), bare('${A}${B}')]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });
});
