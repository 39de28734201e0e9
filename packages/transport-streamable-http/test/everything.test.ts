import { afterEach, afterAll, describe, expect, test } from '@jest/globals';
import { LoggingMessageNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { bearer, closeEverything, everything, startGuard } from '@countersign/test-servers';
import { closeAll, connect } from './connect.js';

afterEach(closeAll);

afterAll(closeEverything);

async function guarded() {
  const { url } = await everything();
  return startGuard({ target: url, verify: bearer('orders-token') });
}

const withToken = (url: URL) => ({ type: 'streamable-http', url: url.href });

describe('streamable HTTP with server-everything', () => {
  test('calls, lists, and ends the session at close', async () => {
    const { url } = await everything();
    const guard = await startGuard({ target: url });
    const connected = await connect(withToken(guard.url));
    const { tools } = await connected.client.listTools();
    expect(tools.map(({ name }) => name)).toContain('echo');
    const echoes = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        connected.client.callTool({ name: 'echo', arguments: { message: `hi ${index}` } }),
      ),
    );
    expect(echoes.map(({ content }) => content)).toEqual(
      echoes.map((_, index) => [{ type: 'text', text: `Echo: hi ${index}` }]),
    );
    await connected.close();
    const ended = guard.requests.find(({ method }) => method === 'DELETE');
    expect(ended?.headers['mcp-session-id']).toMatch(/./);
    expect(ended?.status).toBe(200);
    expect(connected.errors).toEqual([]);
    await guard.close();
  });

  test('sends the negotiated protocol version with every later request', async () => {
    const { url } = await everything();
    const guard = await startGuard({ target: url });
    const connected = await connect(withToken(guard.url));
    await connected.client.ping();
    await connected.close();
    expect(guard.called('initialize')[0]?.headers['mcp-protocol-version']).toBeUndefined();
    expect(guard.called('ping')[0]?.headers['mcp-protocol-version']).toBe('2025-11-25');
    await guard.close();
  });

  test('brings progress before the answer, and notifications of the session', async () => {
    const { url } = await everything();
    const connected = await connect(withToken(url));
    const logged = new Promise((resolve) =>
      connected.client.setNotificationHandler(LoggingMessageNotificationSchema, resolve),
    );
    const steps: number[] = [];
    await connected.client.callTool(
      { name: 'trigger-long-running-operation', arguments: { duration: 0.2, steps: 4 } },
      undefined,
      { onprogress: ({ progress }) => steps.push(progress) },
    );
    expect(steps).toEqual([1, 2, 3, 4]);
    await connected.client.callTool({ name: 'toggle-simulated-logging', arguments: {} });
    await logged;
    await connected.close();
  }, 20_000);

  test('brings the refusal of the credential unchanged', async () => {
    const guard = await guarded();
    await expect(connect(withToken(guard.url))).rejects.toMatchObject({ code: 'UNAUTHORIZED', server: 'orders' });
    await guard.close();
  });
});
