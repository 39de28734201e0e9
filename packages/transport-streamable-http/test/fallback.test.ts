import { afterEach, afterAll, describe, expect, test } from '@jest/globals';
import sse from '@countersign/transport-sse';
import { closeEverything, everything, startGuard, unauthorized } from '@countersign/test-servers';
import { closeAll, connect } from './connect.js';
import { json, sessionScript, startScripted, type Script } from './scripted-server.js';

afterEach(closeAll);

afterAll(closeEverything);
const plugins = [sse];

async function refused(script: Script, entry: Record<string, unknown> = {}) {
  const server = await startScripted(script);
  const error = await connect({ url: server.url, ...entry }, { plugins }).then(
    () => undefined,
    (failure: unknown) => failure as Error & { cause?: Error },
  );
  await server.close();
  return { error, methods: server.requests.map(({ method }) => method) };
}

describe('a server whose transport the configuration does not name', () => {
  test('is reached over SSE when it answers initialize with a 4xx', async () => {
    const { url } = await everything('sse');
    const guard = await startGuard({ target: url });
    const connected = await connect({ url: guard.url.href }, { plugins });
    expect(await connected.client.callTool({ name: 'echo', arguments: { message: 'hi' } })).toMatchObject({
      content: [{ text: 'Echo: hi' }],
    });
    await connected.close();
    expect(guard.requests.slice(0, 3).map(({ method, path, status }) => [method, path.split('?')[0], status])).toEqual([
      ['POST', '/sse', 404],
      ['GET', '/sse', 200],
      ['POST', '/message', 202],
    ]);
    expect(connected.errors).toEqual([]);
    await guard.close();
  });

  test('is reached over streamable HTTP where that works, and SSE is not tried', async () => {
    const server = await startScripted(
      sessionScript(['one'], ({ message }, response) =>
        json(response, { jsonrpc: '2.0', id: message?.id, result: {} }),
      ),
    );
    const connected = await connect({ url: server.url }, { plugins });
    await connected.client.ping();
    expect(connected.transport.sessionId).toBe('one');
    await connected.close();
    await server.close();
  });

  test.each([400, 404, 405, 415, 422])('tells both reasons when SSE fails as well (%s)', async (status) => {
    const { error, methods } = await refused(
      ({ method }, response) => void response.writeHead(method === 'POST' ? status : 410).end(),
    );
    expect(methods).toEqual(['POST', 'GET']);
    expect(error).toMatchObject({ code: 'SERVER_ERROR', cause: { code: 'SERVER_ERROR', status } });
    expect(error?.message).toMatch(
      new RegExp(
        `^Server orders answered initialize with ${status} .*SSE failed as well: Server orders answered GET with 410 Gone`,
      ),
    );
  });

  test.each([500, 503])('is not tried over SSE after a %s', async (status) => {
    const { error, methods } = await refused((_, response) => void response.writeHead(status).end());
    expect(methods).toEqual(['POST']);
    expect(error).toMatchObject({ status });
  });

  test('is not tried over SSE when it refuses the credential', async () => {
    const guard = await startGuard({ verify: () => unauthorized('Bearer', 'no') });
    await expect(connect({ url: guard.url.href }, { plugins })).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
    expect(guard.requests.map(({ method }) => method)).toEqual(['POST']);
    await guard.close();
  });
});

test('a server whose transport is named is never tried over another', async () => {
  const { methods, error } = await refused((_, response) => void response.writeHead(405).end(), {
    type: 'streamable_http',
  });
  expect(methods).toEqual(['POST']);
  expect(error).toMatchObject({ status: 405 });
});

test('without the SSE package the first answer stands', async () => {
  const server = await startScripted((_, response) => void response.writeHead(405).end());
  await expect(connect({ url: server.url })).rejects.toMatchObject({ code: 'SERVER_ERROR', status: 405 });
  await server.close();
});
