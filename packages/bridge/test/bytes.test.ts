import { PassThrough, Writable } from 'node:stream';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Gather } from '../src/gather.js';
import { LineSplitter } from '../src/lines.js';
import { Output } from '../src/output.js';
import { SseParser } from '../src/sse.js';

const chunked = (bytes: Buffer, sizes: readonly number[]): Buffer[] => {
  const chunks: Buffer[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes.length === 0 ? bytes.length : Math.max(1, sizes[i % sizes.length]!);
    chunks.push(Buffer.from(bytes.subarray(at, at + size)));
    at += size;
  }
  return chunks;
};
const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 10 });

describe('an event stream', () => {
  const parse = (chunks: readonly Buffer[], cap = 1000) => {
    const events: [string, string][] = [];
    const parser = new SseParser((data, event) => events.push([event, data.toString()]), cap);
    for (const chunk of chunks) parser.push(chunk);
    return { events, parser };
  };

  test('gives the same events however it is cut and whichever line end it has', () => {
    const text =
      '\ufeff: hi\nid: 1\ndata: {"a":1}\n\nevent: other\ndata:{"b":\ndata: "é"}\nid\n\nretry: 50\nretry: x\ndata\n\nid: ü\ndata: 5\nunknown: 1\ndatax: 1\n\ndata: lost';
    fc.assert(
      fc.property(sizes, fc.constantFrom('\n', '\r\n', '\r'), (cuts, end) => {
        const { events, parser } = parse(chunked(Buffer.from(text.replaceAll('\n', end)), cuts));
        expect(events).toEqual([
          ['message', '{"a":1}'],
          ['other', '{"b": "é"}'],
          ['message', '5'],
        ]);
        expect(parser.retry).toBe(50);
        expect(parser.lastEventId).toBe(Buffer.from('ü').toString('latin1'));
      }),
    );
  });

  test('counts an id only when its event came whole', () => {
    const { parser } = parse([Buffer.from('id: 1\ndata: 1\n\nid: 2\ndata: 2\n')]);
    expect(parser.lastEventId).toBe('1');
    parser.reset();
    parser.push(Buffer.from('data: 3\n\n'));
    expect(parser.lastEventId).toBe('1');
  });

  test('takes no id that a header could not carry', () => {
    expect(parse([Buffer.from('id: a\u0000b\ndata: 1\n\n')]).parser.lastEventId).toBeUndefined();
    expect(parse([Buffer.from('id: a\u007fb\ndata: 1\n\n')]).parser.lastEventId).toBeUndefined();
  });

  test.each(['data: ', 'event: ', ': ', 'data: x\ndata:'])(
    'of which an event begins with %j and has no end throws TOO_LARGE',
    (begin) => {
      const chunks = [Buffer.from(begin), ...Array.from({ length: 10 }, () => Buffer.alloc(1000, 'x'))];
      expect(() => parse(chunks)).toThrow(expect.objectContaining({ code: 'TOO_LARGE' }));
    },
  );

  test('counts the first of several lines of data towards the cap', () => {
    const parser = new SseParser(() => undefined, 100_000);
    const line = `data: ${'x'.repeat(60_000)}\n`;
    parser.push(Buffer.from(line));
    expect(() => parser.push(Buffer.from(`${line}\n`))).toThrow(expect.objectContaining({ code: 'TOO_LARGE' }));
  });

  test('does not grow with events that are many', () => {
    const { events } = parse(Array.from({ length: 1000 }, () => Buffer.from(': comment\n\ndata:\n\n')));
    expect(events).toEqual([]);
  });
});

describe('lines', () => {
  const split = (chunks: readonly Buffer[], cap = 1000) => {
    const lines: string[] = [];
    const tooLong: unknown[] = [];
    const splitter = new LineSplitter(
      {
        line: (bytes) => lines.push(bytes.toString()),
        tooLong: ({ id, method, kind }) => tooLong.push([id, method, kind]),
      },
      cap,
    );
    for (const chunk of chunks) splitter.push(chunk);
    splitter.end();
    return { lines, tooLong };
  };

  test('are the same however the input is cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string().filter((text) => !/[\r\n]/.test(text))),
        sizes,
        fc.constantFrom('\n', '\r\n'),
        (texts, cuts, end) => {
          const { lines } = split(chunked(Buffer.from(texts.map((text) => text + end).join('')), cuts));
          expect(lines).toEqual(texts.map((text) => Buffer.from(text).toString()).filter((text) => text !== ''));
        },
      ),
    );
  });

  test('count without an end when they are whole JSON', () => {
    expect(split([Buffer.from('{"a":1}\n{"b":2}')]).lines).toEqual(['{"a":1}', '{"b":2}']);
    expect(split([Buffer.from('{"a":1}\n{"b":')]).lines).toEqual(['{"a":1}']);
  });

  test('that are too long are told by their first and last bytes', () => {
    const pad = 'x'.repeat(2000);
    for (const cuts of [[], [7], [600]]) {
      const { lines, tooLong } = split(
        chunked(
          Buffer.from(
            `{"id":1,"method":"a","params":"${pad}"}\n{"method":"b","params":"${pad}","id":"z"}\n{"method":"c","params":["${pad}"]}\n{"result":"${pad}","id":4}\n{"ok":1}\n`,
          ),
          cuts,
        ),
      );
      expect(tooLong).toEqual([
        ['1', 'a', 'request'],
        ['"z"', 'b', 'request'],
        [undefined, 'c', 'notification'],
        ['4', undefined, 'response'],
      ]);
      expect(lines).toEqual(['{"ok":1}']);
    }
  });
});

test('pieces gathered are the whole, of any sizes', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 9000 }), { maxLength: 40 }), (lengths) => {
      const gather = new Gather();
      const parts = lengths.map((length, n) => Buffer.alloc(length, n + 1));
      for (const part of parts) gather.add(part);
      expect(gather.length).toBe(lengths.reduce((a, b) => a + b, 0));
      expect(gather.take().equals(Buffer.concat(parts))).toBe(true);
      expect(gather.length).toBe(0);
    }),
  );
});

describe('output', () => {
  test('puts each message on a line of its own, in order, those of one turn in one write', async () => {
    const writes: string[] = [];
    const stream = new Writable({ write: (chunk: Buffer, _, done) => (writes.push(chunk.toString()), done()) });
    const output = new Output(
      stream,
      () => undefined,
      () => undefined,
    );
    for (const text of ['{"a":1}', '{\n"b":2\r\n}', '{}']) output.write(Buffer.from(text));
    await output.end();
    expect(writes).toEqual(['{"a":1}\n{ "b":2  }\n{}\n']);
  });

  test('makes readers wait while the client does not read, and tells when it does again', async () => {
    const stream = new PassThrough();
    const ready = new Promise<void>((resolve) => {
      const output = new Output(
        stream,
        () => (resolve(), expect(output.full).toBe(false)),
        () => undefined,
      );
      output.write(Buffer.alloc(3_000_000, 'x'));
      expect(output.full).toBe(true);
      const body = new PassThrough();
      output.hold(body);
      expect(body.isPaused()).toBe(true);
    });
    stream.resume();
    await ready;
  });

  test('says once that the client is gone', async () => {
    let gone = 0;
    const stream = new PassThrough();
    const output = new Output(
      stream,
      () => undefined,
      () => gone++,
    );
    stream.destroy(new Error('EPIPE'));
    await new Promise(setImmediate);
    output.write(Buffer.from('{}'));
    await output.end();
    expect(gone).toBe(1);
  });
});
