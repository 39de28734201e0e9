import { afterEach, expect, test } from '@jest/globals';
import { CountersignError, type Exchange } from '@countersign/core';
import { bridged, errorOf, json, mcp, plainExchange, serve, type Json } from './harness.js';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function locked(withCredential: boolean) {
  const remote = await serve(
    mcp((heard, response) =>
      json(response, { jsonrpc: '2.0', id: heard.message['id'], result: { tools: [{ name: 'real' }] } }),
    ),
  );
  const plain = plainExchange();
  const state = { signedIn: false, stamp: 1, refused: 0 };
  const exchange: Exchange = async (request, signal) => {
    if (state.signedIn) return plain(request, signal);
    state.refused++;
    throw new CountersignError('LOGIN_REQUIRED', 'Server orders wants a person to sign in.', {
      remedy: 'Run `countersign login orders`.',
    });
  };
  const one = bridged({
    url: remote.url,
    name: 'orders',
    exchange,
    ...(withCredential ? { credential: () => state.stamp } : {}),
  });
  open.push(remote, { close: async () => plain.close() }, { close: () => one.end() });
  return { remote, state, one };
}

test('signed out, the bridge answers initialize itself and names the command', async () => {
  const { one, remote, state } = await locked(true);
  const { result } = (await one.initialize()) as { result: Json };
  expect(result['protocolVersion']).toBe('2025-06-18');
  expect(result['capabilities']).toEqual({
    tools: { listChanged: true },
    resources: { listChanged: true },
    prompts: { listChanged: true },
  });
  expect(result['instructions']).toContain('countersign login orders');
  expect(await one.request('tools/list')).toMatchObject({ result: { tools: [] } });
  expect(await one.request('resources/list')).toMatchObject({ result: { resources: [] } });
  expect(await one.request('resources/templates/list')).toMatchObject({ result: { resourceTemplates: [] } });
  expect(await one.request('prompts/list')).toMatchObject({ result: { prompts: [] } });
  expect(await one.request('ping')).toMatchObject({ result: {} });
  const error = errorOf(await one.request('tools/call', { name: 'x' }));
  expect(error.message).toContain('countersign login orders');
  expect(error.message.match(/countersign login/g)).toHaveLength(1);
  expect(error.data?.code).toBe('LOGIN_REQUIRED');
  expect(errorOf(await one.request('toString')).data?.code).toBe('LOGIN_REQUIRED');
  expect(remote.heard).toHaveLength(0);
  expect(state.refused).toBe(1);
});

test('a sign-in elsewhere is noticed within a second and a half, and the client is told to ask anew', async () => {
  const { one, remote, state } = await locked(true);
  await one.initialize();
  state.signedIn = true;
  state.stamp = 2;
  const begun = Date.now();
  await one.next(({ method }) => method === 'notifications/tools/list_changed');
  expect(Date.now() - begun).toBeLessThan(1500);
  expect(await one.request('tools/list')).toMatchObject({ result: { tools: [{ name: 'real' }] } });
  expect(remote.heard.map(({ message }) => message['method']).filter(Boolean)).toEqual([
    'initialize',
    'notifications/initialized',
    'tools/list',
  ]);
  expect(one.answers(0)).toHaveLength(1);
  expect(one.received.some(({ method }) => method === 'notifications/prompts/list_changed')).toBe(false);
});

test('without a way to see the credential the server is asked now and then', async () => {
  const { one, state } = await locked(false);
  await one.initialize();
  state.signedIn = true;
  await one.next(({ method }) => method === 'notifications/tools/list_changed');
}, 15_000);

test('a store that changes without a sign-in leaves the bridge waiting', async () => {
  const { one, state } = await locked(true);
  await one.initialize();
  state.stamp = 2;
  while (state.refused < 2) await new Promise((resolve) => setTimeout(resolve, 20));
  expect(await one.request('tools/list')).toMatchObject({ result: { tools: [] } });
  state.signedIn = true;
  state.stamp = 3;
  await one.next(({ method }) => method === 'notifications/tools/list_changed');
});

test('a sign-out under way turns calls into the error with the command, and a new sign-in mends them', async () => {
  const { one, state } = await locked(true);
  state.signedIn = true;
  await one.initialize();
  state.signedIn = false;
  expect(errorOf(await one.request('tools/call')).message).toContain('countersign login orders');
  state.signedIn = true;
  expect(await one.request('tools/call')).toHaveProperty('result');
});
