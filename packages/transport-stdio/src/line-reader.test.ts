import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { LineReader } from './line-reader.js';

function read(chunks: readonly Buffer[], maxLength = 1_000): { lines: string[]; tooLong: [string, string][] } {
  const lines: string[] = [];
  const tooLong: [string, string][] = [];
  const reader = new LineReader({
    maxLength,
    onLine: (line) => lines.push(line),
    onTooLong: (start, end) => tooLong.push([start, end]),
  });
  for (const chunk of chunks) reader.push(chunk);
  return { lines, tooLong };
}

describe('LineReader', () => {
  test('reads the same lines however the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'binary' }).map((line) => line.replace(/[\r\n]/g, ''))),
        fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1 }),
        (lines, sizes) => {
          const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
          const chunks: Buffer[] = [];
          for (let at = 0, turn = 0; at < bytes.length; turn++) {
            const size = sizes[turn % sizes.length]!;
            chunks.push(bytes.subarray(at, at + size));
            at += size;
          }
          expect(read(chunks, 100_000).lines).toEqual(
            Buffer.from(lines.join('\n')).toString('utf8').split('\n').slice(0, lines.length),
          );
        },
      ),
    );
  });

  test('takes a carriage return as part of the line end, and keeps half a line back', () => {
    expect(read([Buffer.from('one\r\n\r\ntw'), Buffer.from('o\nhalf')]).lines).toEqual(['one', '', 'two']);
  });

  test('passes over a line beyond the cap, tells its two ends, and goes on', () => {
    const long = `{"id":1,${'x'.repeat(50_000)},"id":2}`;
    const chunks = Buffer.from(`short\n${long}\nlast\n`);
    const pieces = Array.from({ length: Math.ceil(chunks.length / 700) }, (_, index) =>
      chunks.subarray(index * 700, index * 700 + 700),
    );
    const { lines, tooLong } = read(pieces);
    expect(lines).toEqual(['short', 'last']);
    expect(tooLong).toHaveLength(1);
    expect(tooLong[0]?.[0].startsWith('{"id":1,xxx')).toBe(true);
    expect(tooLong[0]?.[1].endsWith('xxx,"id":2}')).toBe(true);
  });

  test('reads a line of 16 MB in linear time', () => {
    const chunk = Buffer.alloc(1_000, 'x');
    const started = process.cpuUsage();
    const { lines } = read([...Array.from({ length: 16_000 }, () => chunk), Buffer.from('\n')], 16_000_000);
    expect(lines[0]?.length).toBe(16_000_000);
    expect(process.cpuUsage(started).user).toBeLessThan(2_000_000); // microseconds; quadratic is minutes
  });
});
