import { describe, expect, test } from '@jest/globals';
import { Readable } from 'node:stream';
import fc from 'fast-check';
import { readEvents, type EventStreamOptions, type ServerSentEvent } from './event-stream.js';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function bodyOf(chunks: Iterable<Uint8Array>, failure?: Error): Readable {
  const body = Readable.from(
    (function* () {
      yield* chunks;
      if (failure) throw failure;
    })(),
    { objectMode: false },
  );
  return body;
}

async function all(body: Readable, options: Partial<EventStreamOptions> = {}): Promise<ServerSentEvent[]> {
  const events: ServerSentEvent[] = [];
  for await (const event of readEvents(body, { maxLength: 1000, ...options })) events.push(event);
  return events;
}

const three = 'id: 1\ndata: {"ä":1}\n\nevent: message\nid: 2\ndata: two\ndata: lines\n\nid: 3\r\ndata: three\r\n\r\n';

describe('readEvents', () => {
  test('reads the same events however the bytes are cut', async () => {
    const whole = await all(bodyOf([bytes(three)]));
    expect(whole.map(({ id, data }) => [id, data])).toEqual([
      ['1', '{"ä":1}'],
      ['2', 'two\nlines'],
      ['3', 'three'],
    ]);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), async (sizes) => {
        const rest = bytes(three);
        const chunks: Uint8Array[] = [];
        for (let at = 0, turn = 0; at < rest.length; turn++) {
          const size = sizes[turn % sizes.length]!;
          chunks.push(rest.subarray(at, at + size));
          at += size;
        }
        expect(await all(bodyOf(chunks))).toEqual(whole);
      }),
    );
  });

  test('passes over a byte order mark, and no other', async () => {
    const body = bodyOf([Uint8Array.of(0xef, 0xbb), Uint8Array.of(0xbf), bytes('data: \uFEFFone\n\n')]);
    expect(await all(body)).toEqual([{ id: undefined, event: undefined, data: '\uFEFFone' }]);
  });

  test('drops the event that the end cuts off', async () => {
    expect(await all(bodyOf([bytes('data: whole\n\ndata: half\n')]))).toEqual([
      { id: undefined, event: undefined, data: 'whole' },
    ]);
  });

  test('throws what the body fails with, after the events that came whole', async () => {
    const seen: string[] = [];
    const failure = new Error('reset');
    await expect(
      (async () => {
        for await (const { data } of readEvents(bodyOf([bytes('data: whole\n\ndata: ha')], failure), {
          maxLength: 100,
        }))
          seen.push(data);
      })(),
    ).rejects.toBe(failure);
    expect(seen).toEqual(['whole']);
  });

  test.each([
    ['an endless line', 'x'],
    ['endless data fields', 'data: xxxxxxxx\n'],
  ])('ends %s at the cap, and destroys the body', async (_, piece) => {
    let sent = 0;
    function* endless(): Generator<Uint8Array> {
      for (;;) {
        sent++;
        yield bytes(piece.repeat(10));
      }
    }
    const body = bodyOf(endless());
    await expect(all(body, { maxLength: 10_000 })).rejects.toMatchObject({ code: 'TOO_LARGE' });
    expect(sent).toBeLessThan(2_000);
    expect(body.destroyed).toBe(true);
  });

  test('takes a hundred thousand small events within the cap', async () => {
    const chunk = bytes('data: {}\n\n'.repeat(1000));
    const events = await all(bodyOf(Array.from({ length: 100 }, () => chunk)));
    expect(events).toHaveLength(100_000);
  });

  test('tells the time that the server wants between reconnects', async () => {
    const times: number[] = [];
    await all(bodyOf([bytes('retry: 250\n\n')]), { onRetry: (ms) => times.push(ms) });
    expect(times).toEqual([250]);
  });
});
