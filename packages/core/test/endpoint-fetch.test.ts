import { expect, test } from '@jest/globals';
import { endpointFetch, type Clock } from '@countersign/core';

const clockAt = (now: number, sleep: Clock['sleep'] = () => new Promise(() => undefined)): Clock => ({
  now: () => now,
  sleep,
});
const answering =
  (headers: Record<string, string>): typeof fetch =>
  async () =>
    new Response('{}', { headers });

test('ends at the deadline when the endpoint never answers, body included', async () => {
  const soon: Clock['sleep'] = async () => undefined;
  const silent = endpointFetch({ fetch: () => new Promise(() => undefined), clock: clockAt(0, soon) });
  await expect(silent.fetch('https://oauth2.example/token?x=secret')).rejects.toMatchObject({
    code: 'TIMEOUT',
    message: 'oauth2.example did not answer within 10 seconds.',
  });
  const dripping = endpointFetch({
    fetch: async () => new Response(new ReadableStream({ pull: () => new Promise(() => undefined) })),
    clock: clockAt(0, soon),
  });
  await expect(dripping.fetch('https://oauth2.example/token')).rejects.toMatchObject({ code: 'TIMEOUT' });
});

test("ends with the caller's own reason when the caller gives up", async () => {
  const endpoint = endpointFetch({ fetch: () => new Promise(() => undefined), clock: clockAt(0) });
  const stop = new AbortController();
  const answer = endpoint.fetch('https://oauth2.example/', { signal: stop.signal });
  stop.abort(new Error('gave up'));
  await expect(answer).rejects.toThrow('gave up');
});

test("learns how far the endpoint's clock is off, not from a cache and not below five seconds", async () => {
  const now = Date.parse('2026-11-24T12:00:00Z');
  const offsetAfter = async (headers: Record<string, string>): Promise<number> => {
    const endpoint = endpointFetch({ fetch: answering(headers), clock: clockAt(now) });
    await endpoint.fetch('https://oauth2.example/');
    return endpoint.offset;
  };
  expect(await offsetAfter({ date: 'Tue, 24 Nov 2026 12:10:00 GMT' })).toBe(600_000);
  expect(await offsetAfter({ date: 'Tue, 24 Nov 2026 12:10:00 GMT', age: '600' })).toBe(0);
  expect(await offsetAfter({ date: 'Tue, 24 Nov 2026 12:00:03 GMT' })).toBe(0);
  expect(await offsetAfter({ date: 'yesterday' })).toBe(0);
});
