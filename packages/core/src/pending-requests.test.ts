import { describe, expect, test } from '@jest/globals';
import { CountersignError, findCountersignError } from './errors.js';
import { PendingRequests, type PendingRequest } from './pending-requests.js';
import type { JsonRpcMessage } from './transport-provider.js';

function collect(timeout = 60_000): { pending: PendingRequests; answers: JsonRpcMessage[]; late: PendingRequest[] } {
  const answers: JsonRpcMessage[] = [];
  const late: PendingRequest[] = [];
  const pending = new PendingRequests({
    server: 'orders',
    timeout,
    answer: (message) => answers.push(message),
    timedOut: (request) => late.push(request),
    explain: ({ method }) => (method === 'initialize' ? 'It said nothing.' : undefined),
  });
  return { pending, answers, late };
}

const lost = new CountersignError('UNREACHABLE', 'The connection was lost.');

describe('PendingRequests', () => {
  test('notes requests only, whatever their id is', () => {
    const { pending } = collect();
    for (const id of [0, 7, '', 'seven']) expect(pending.begin({ jsonrpc: '2.0', id, method: 'ping' })?.id).toBe(id);
    expect(pending.begin({ jsonrpc: '2.0', method: 'notifications/initialized' })).toBeUndefined();
    expect(pending.begin({ jsonrpc: '2.0', id: 9, result: {} })).toBeUndefined();
    expect(pending.size).toBe(4);
    pending.failAll(lost);
  });

  test('answers a request once, and leaves the one that the server answered alone', () => {
    const { pending, answers } = collect();
    const first = pending.begin({ jsonrpc: '2.0', id: 1, method: 'ping' })!;
    const second = pending.begin({ jsonrpc: '2.0', id: 2, method: 'ping' })!;
    expect(pending.accept({ jsonrpc: '2.0', id: '1', result: {} })).toEqual({ jsonrpc: '2.0', id: 1, result: {} });
    expect(pending.accept({ jsonrpc: '2.0', id: 1, result: {} })).toBeUndefined();
    pending.fail(first, lost);
    pending.failAll(lost);
    pending.failAll(lost);
    expect(answers).toHaveLength(1);
    expect(answers[0]).toMatchObject({ id: 2, error: { code: -32000, message: 'The connection was lost.' } });
    expect(first.signal.aborted).toBe(false);
    expect(second.signal.aborted).toBe(true);
    expect(findCountersignError(answers[0]!['error'])).toBe(lost);
  });

  test('ends a request at its deadline, says so, and lets the transport cancel it', async () => {
    const { pending, answers, late } = collect(20);
    const request = pending.begin({ jsonrpc: '2.0', id: 1, method: 'initialize' })!;
    pending.startTime(request);
    await new Promise<void>((resolve) => request.signal.addEventListener('abort', () => setImmediate(resolve)));
    expect(answers).toEqual([
      expect.objectContaining({
        id: 1,
        error: expect.objectContaining({
          code: -32001,
          message: 'Server orders did not answer initialize within 0.02 s. It said nothing.',
        }) as unknown,
      }),
    ]);
    expect(late).toEqual([request]);
  });

  test('counts the time anew with each progress of the request', async () => {
    const { pending, answers } = collect(80);
    const meta = (progressToken: string): Record<string, unknown> => ({ _meta: { progressToken } });
    const alive = pending.begin({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: meta('one') })!;
    const dead = pending.begin({ jsonrpc: '2.0', id: 2, method: 'tools/call', params: meta('two') })!;
    pending.startTime(alive);
    pending.startTime(dead);
    for (let step = 0; step < 6; step++) {
      await new Promise((resolve) => setTimeout(resolve, 25));
      const progress = {
        jsonrpc: '2.0' as const,
        method: 'notifications/progress',
        params: { progressToken: 'one', progress: step },
      };
      expect(pending.accept(progress)).toBe(progress);
    }
    expect(answers.map(({ id }) => id)).toEqual([2]);
    expect(pending.has(alive)).toBe(true);
    pending.failAll(lost);
  });
});
