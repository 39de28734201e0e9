import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { idAtEnd, idKey, isBatch, members as membersOf, readEnvelopes } from '../src/envelope.js';

const read = (text: string) => readEnvelopes(Buffer.from(text)).map(({ id, method, kind }) => ({ id, method, kind }));

const members = fc.dictionary(
  fc.oneof(fc.constantFrom('jsonrpc', 'params', 'x"', 'i\\d', 'data'), fc.string({ maxLength: 8 })),
  fc.jsonValue({ maxDepth: 4 }),
  { maxKeys: 5 },
);
const id = fc.oneof(fc.integer(), fc.string(), fc.constant(null));
const big = fc.constantFrom({}, { pad: 'x'.repeat(700) }, { pad: '\\"'.repeat(400), id: 5 }, [
  { id: 7, method: 'nested' },
  'y'.repeat(600),
]);

/** The same members in any order, with the white space that JSON allows. */
const message = fc
  .tuple(
    members,
    id,
    fc.option(fc.string()),
    fc.option(big),
    fc.boolean(),
    fc.infiniteStream(fc.nat({ max: 1000 })),
    fc.constantFrom('', ' ', '\n\t ', '\r\n'),
  )
  .map(([other, anId, method, result, hasId, order, space]) => {
    const all: [string, unknown][] = Object.entries(other).filter(
      ([key]) => !['id', 'method', 'result', 'error'].includes(key),
    );
    if (hasId) all.push(['id', anId]);
    if (method !== null) all.push(['method', method]);
    if (result !== null && method === null) all.push(['result', result]);
    const sorted = all.map((entry) => [order.next().value, entry] as const).sort(([a], [b]) => a - b);
    return `${space}{${sorted.map(([, [key, value]]) => `${space}${JSON.stringify(key)}${space}:${space}${JSON.stringify(value)}${space}`).join(',')}}${space}`;
  });

test('finds of any JSON-RPC message what JSON.parse finds', () => {
  fc.assert(
    fc.property(message, (text) => {
      const parsed = JSON.parse(text) as Record<string, unknown>;
      const [found] = readEnvelopes(Buffer.from(text));
      const hasId = Object.hasOwn(parsed, 'id');
      const method = parsed['method'] as string | undefined;
      const answers = Object.hasOwn(parsed, 'result');
      const kind = method !== undefined ? (hasId ? 'request' : 'notification') : answers ? 'response' : 'invalid';
      expect(found!.kind).toBe(kind);
      if (hasId && kind !== 'invalid') expect(JSON.parse(found!.id!)).toEqual(parsed['id']);
      if (kind === 'request' || kind === 'notification') expect(found!.method).toBe(method);
    }),
    { numRuns: 3000 },
  );
});

test('finds the members of any object, wherever its whitespace is', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string({ maxLength: 20 }), fc.jsonValue()), fc.nat(3), (object, indent) => {
      const bytes = Buffer.from(` ${JSON.stringify(object, undefined, indent)}`);
      const found = [...membersOf(bytes, 1)].map(([key, from, to]) => [
        key,
        JSON.parse(bytes.toString('utf8', from, to)) as unknown,
      ]);
      expect(found).toEqual(Object.entries(JSON.parse(JSON.stringify(object)) as object));
    }),
  );
});

test('a batch of ten thousand is one, and what holds more is none, at a small cost', () => {
  const batch = (count: number): Buffer => Buffer.from(`[${'1,'.repeat(count - 1)}1]`);
  expect(readEnvelopes(batch(10_000))).toHaveLength(10_000);
  expect(readEnvelopes(batch(5_000_000))).toEqual([]);
});

test('tells the elements of a batch apart', () => {
  fc.assert(
    fc.property(fc.array(message, { maxLength: 5 }), (texts) => {
      const batch = Buffer.from(`[${texts.join(',')}]`);
      const found = readEnvelopes(batch);
      expect(isBatch(batch)).toBe(true);
      expect(found.map(({ start, end }) => JSON.parse(batch.toString('utf8', start, end)) as unknown)).toEqual(
        texts.map((text) => JSON.parse(text) as unknown),
      );
    }),
  );
});

test('never throws and always ends, whatever the bytes', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void readEnvelopes(Buffer.from(bytes))));
  const alphabet = fc.constantFrom('{', '}', '[', ']', '"', '\\', ',', ':', 'id', 'method', '"id"', '1', ' ');
  fc.assert(
    fc.property(fc.array(alphabet, { maxLength: 60 }), (parts) => void readEnvelopes(Buffer.from(parts.join('')))),
    { numRuns: 2000 },
  );
});

test.each([
  ['{"jsonrpc":"2.0","id":1,"method":"a"}', { id: '1', method: 'a', kind: 'request' }],
  ['{"\\u0069d":1,"m\\u0065thod":"\\u0061"}', { id: '1', method: 'a', kind: 'request' }],
  ['{"params":{"id":9,"method":"no"},"method":"a"}', { id: undefined, method: 'a', kind: 'notification' }],
  ['{"id":1}', { id: '1', method: undefined, kind: 'invalid' }],
  ['{"id":1,"method":5}', { id: '1', method: undefined, kind: 'invalid' }],
  ['{"error":{"code":1},"id":null}', { id: 'null', method: undefined, kind: 'response' }],
])('reads %s', (text, expected) => {
  expect(read(text)).toEqual([expected]);
});

test('takes nothing for an id at the end that is not one', () => {
  const at = (text: string): string | undefined => idAtEnd(Buffer.from(text), 0, Buffer.byteLength(text));
  expect(at('{"a":{"id":5}}')).toBeUndefined();
  expect(at('{"a":",\\"id\\":5"}')).toBeUndefined();
  expect(at('{"x\\"id":5}')).toBeUndefined();
  expect(at('{"a":1,"id":5}')).toBe('5');
  expect(at('{"a":1, "id" : "q\\"" \n}\n')).toBe('"q\\""');
});

test('takes time in proportion to the size, for depth and escapes too', () => {
  const nested = Buffer.from(`{"params":${'['.repeat(1_000_000)}${']'.repeat(1_000_000)},"method":"a"}`);
  const escapes = Buffer.from(`{"params":"${'\\\\'.repeat(1_000_000)}${'\\"'.repeat(1_000_000)}","method":"a"}`);
  const begun = performance.now();
  expect(readEnvelopes(nested)[0]!.method).toBe('a');
  expect(readEnvelopes(escapes)[0]!.method).toBe('a');
  expect(performance.now() - begun).toBeLessThan(2000);
});

test('knows two spellings of one id', () => {
  expect(idKey('1.0')).toBe(idKey('1'));
  expect(idKey('"\\u0061"')).toBe(idKey('"a"'));
  expect(idKey('"1"')).not.toBe(idKey('1'));
});
