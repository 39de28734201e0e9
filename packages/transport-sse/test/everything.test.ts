import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { isCountersignError, findCountersignError } from '@countersign/core';
import { bearer, closeEverything, everything, startGuard, type Guard } from '@countersign/test-servers';
import { closeAll, connect, hastyClock, renewingToken } from './connect.js';

afterEach(closeAll);

type Connected = Awaited<ReturnType<typeof connect>>;
let guard: Guard;
let connected: Connected;
afterAll(closeEverything);
afterEach(async () => {
  await connected.close();
  await guard.close();
});

/** server-everything behind a guard that takes the tokens that are in the set at the time. */
async function guarded(tokens: ReadonlySet<string>): Promise<URL> {
  const { url } = await everything('sse');
  guard = await startGuard({ target: url, verify: bearer(tokens) });
  return guard.url;
}

const echo = async (message: string): Promise<unknown> =>
  (await connected.client.callTool({ name: 'echo', arguments: { message } })).content;
const echoed = (message: string): unknown => [{ type: 'text', text: `Echo: ${message}` }];
const streams = (): unknown[] =>
  guard.requests.filter(({ method }) => method === 'GET').map(({ headers, status }) => [headers.authorization, status]);

describe('SSE with server-everything behind a bearer guard', () => {
  test('calls, and sends the extra headers with the stream and with every message', async () => {
    const url = await guarded(new Set(['sse-token-123']));
    const headers = { Authorization: 'Bearer ${TOKEN}', 'X-Stream-Type': 'mcp-events' };
    connected = await connect(
      { type: 'sse', url: url.href, headers, sse_read_timeout: 120 },
      { env: { TOKEN: 'sse-token-123' } },
    );
    const messages = Array.from({ length: 20 }, (_, index) => `hi ${index}`);
    expect(await Promise.all(messages.map(echo))).toEqual(messages.map(echoed));
    expect(guard.requests.map(({ headers }) => [headers['x-stream-type'], headers.authorization])).toEqual(
      guard.requests.map(() => ['mcp-events', 'Bearer sse-token-123']),
    );
    expect(connected.errors).toEqual([]);
  });

  test('leaves the stream alone when the credential expires, and renews it for the next message', async () => {
    const tokens = new Set(['token-1']);
    const { plugin, current } = renewingToken();
    connected = await connect(
      { type: 'sse', url: (await guarded(tokens)).href, auth: { method: 'renewing' } },
      { plugins: [plugin] },
    );
    tokens.clear();
    tokens.add('token-2');
    expect(await echo('renewed')).toEqual(echoed('renewed'));
    expect(current()).toBe('token-2');
    expect(streams()).toEqual([['Bearer token-1', 200]]);
    expect(guard.openStreams).toBe(1);
  });

  test('authenticates anew at the reconnect, with a new token, and loses nothing', async () => {
    const tokens = new Set(['token-1']);
    connected = await connect(
      { type: 'sse', url: (await guarded(tokens)).href, auth: { method: 'renewing' } },
      { plugins: [renewingToken().plugin], clock: hastyClock() },
    );
    expect(await echo('before')).toEqual(echoed('before'));
    tokens.clear();
    tokens.add('token-2');
    const refused = guard.nextRequest(({ method, status }) => method === 'GET' && status === 401);
    expect(guard.disconnect()).toBe(1);
    await refused;
    expect(await Promise.all([echo('at once'), echo('and another')])).toEqual([
      echoed('at once'),
      echoed('and another'),
    ]);
    expect(streams()).toEqual([
      ['Bearer token-1', 200],
      ['Bearer token-1', 401],
      ['Bearer token-2', 200],
    ]);
    expect(guard.called('initialize')).toHaveLength(2);
    const [first, second] = guard.called('initialize').map(({ message }) => (message as { params: unknown }).params);
    expect(second).toEqual(first);
    expect(connected.errors).toEqual([]);
  });

  test('answers every call of a hundred while the stream is cut again and again, or says that it was lost', async () => {
    connected = await connect(
      { type: 'sse', url: (await guarded(new Set(['token-1']))).href, auth: { method: 'renewing' }, timeout: 10 },
      { plugins: [renewingToken().plugin], clock: hastyClock() },
    );
    const results = [];
    for (let round = 0; round < 20; round++) {
      results.push(...Array.from({ length: 5 }, (_, index) => echo(`${round}/${index}`)));
      if (round % 4 === 1) guard.disconnect();
      await new Promise((resolve) => setImmediate(resolve));
    }
    const settled = await Promise.allSettled(results);
    const lost = settled
      .filter(({ status }) => status === 'rejected')
      .map((result) => findCountersignError((result as PromiseRejectedResult).reason)?.code);
    expect(new Set(lost)).toEqual(new Set(lost.length > 0 ? ['UNREACHABLE'] : []));
    for (const [index, result] of settled.entries())
      if (result.status === 'fulfilled') expect(result.value).toEqual(echoed(`${Math.floor(index / 5)}/${index % 5}`));
    expect(await echo('after')).toEqual(echoed('after'));
  }, 20_000);

  test('ends when the server refuses the credential for good', async () => {
    const tokens = new Set(['sse-token-123']);
    connected = await connect(
      { type: 'sse', url: (await guarded(tokens)).href, headers: { Authorization: 'Bearer sse-token-123' } },
      { clock: hastyClock() },
    );
    tokens.clear();
    guard.disconnect();
    await connected.closed;
    expect(connected.errors.map((error) => isCountersignError(error, 'UNAUTHORIZED'))).toEqual([true]);
    await expect(echo('late')).rejects.toThrow();
  });
});
