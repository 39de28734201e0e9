import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { callArguments, type ArgumentSchema } from '../src/call-arguments.js';

const never = (): Promise<never> => Promise.reject(new Error('not to be asked'));
const parse = (words: string[], schema?: ArgumentSchema, input?: string): Promise<Record<string, unknown>> =>
  callArguments(words, {
    schema: schema ? () => Promise.resolve(schema) : () => Promise.resolve(undefined),
    readInput: input === undefined ? never : () => Promise.resolve(input),
  });

describe('the arguments of a call', () => {
  test('are key=value words, whose value may hold another =', async () => {
    expect(await parse(['message=hi there', 'query=a=b', 'empty='])).toEqual({
      message: 'hi there',
      query: 'a=b',
      empty: '',
    });
  });

  test('ask for the schema only where a value could be something else than text', async () => {
    await expect(callArguments(['message=hi'], { schema: never, readInput: never })).resolves.toEqual({
      message: 'hi',
    });
    await expect(callArguments(['message=5'], { schema: never, readInput: never })).rejects.toThrow('not to be asked');
  });

  test.each([
    ['a number for a number', 'number', '5', 5],
    ['an integer for a number', 'integer', '5', 5],
    ['text that looks like a number for a string', 'string', '0123', '0123'],
    ['text that looks like an object for a string', 'string', '{"a":1}', '{"a":1}'],
    ['a boolean for a boolean', 'boolean', 'true', true],
    ['a list for an array', 'array', '[1,2]', [1, 2]],
    ['text where the type does not fit, so that the server says so', 'number', 'true', 'true'],
  ])('give %s', async (_, type, text, value) => {
    expect(await parse([`key=${text}`], { properties: { key: { type } } })).toEqual({ key: value });
  });

  test('take the first fitting branch of a union', async () => {
    const schema = { properties: { key: { anyOf: [{ type: 'number' }, { type: 'null' }] } } };
    expect(await parse(['key=null'], schema)).toEqual({ key: null });
  });

  test('are JSON after :=, whatever the schema', async () => {
    expect(await parse(['key:=5', 'list:=["a"]'], { properties: { key: { type: 'string' } } })).toEqual({
      key: 5,
      list: ['a'],
    });
  });

  test('are one JSON object, also when the shell split it', async () => {
    expect(await parse(['{"message":', '"hi"}'])).toEqual({ message: 'hi' });
  });

  test('come from the standard input after -', async () => {
    expect(await parse(['-'], undefined, '{"message": "hi"}\n')).toEqual({ message: 'hi' });
  });

  test('may be named __proto__ without touching one', async () => {
    const values = await parse(['__proto__=x']);
    expect(Object.keys(values)).toEqual(['__proto__']);
    expect(Object.getPrototypeOf(values)).toBe(Object.prototype);
  });

  test.each([
    ['a word without =', ['hello']],
    ['broken JSON', ['{"a":']],
    ['a JSON list', ['[1]']],
    ['broken JSON after :=', ['a:={']],
    ['an empty key', ['=x']],
  ])('are refused as USAGE: %s', async (_, words) => {
    await expect(parse(words)).rejects.toMatchObject({ code: 'USAGE' });
  });

  test.each(['', 'null', 'hello', '5'])('are refused as USAGE when the standard input holds %j', async (input) => {
    await expect(parse(['-'], undefined, input)).rejects.toMatchObject({ code: 'USAGE' });
  });

  test('never fail in any other way', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.oneof(
            fc.string(),
            fc.json(),
            fc.string().map((text) => `k=${text}`),
          ),
          { maxLength: 4 },
        ),
        async (words) => {
          await parse(words, { properties: { k: { type: 'number' } } }, '{}').catch((error: unknown) =>
            expect(error).toMatchObject({ code: 'USAGE' }),
          );
        },
      ),
    );
  });
});
