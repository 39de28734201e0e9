import { afterAll, expect, test } from '@jest/globals';
// eslint-disable-next-line import-x/no-relative-packages -- the same setting as that of the unit tests, which is not published
import { closeAuthority, forms, send, startAws } from '../../packages/auth-aws-sigv4/test/setting.ts';

afterAll(closeAuthority);

test.each(Object.entries(forms))(
  'a thousand calls over twenty connections are all accepted, each by a signature of its own (%s)',
  async (_, server) => {
    const aws = await startAws();
    const app = await aws.app(server);
    let next = 0;
    const statuses = new Set();
    const caller = async () => {
      while (next < 1000) {
        const body = JSON.stringify({ jsonrpc: '2.0', id: next++ % 7, method: 'ping' });
        const response = await send(app, 'https://service.us-east-1.amazonaws.com/mcp', {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body,
        });
        statuses.add(response.status);
      }
    };
    await Promise.all(Array.from({ length: 20 }, caller));
    expect([...statuses]).toEqual([200]);
    expect(new Set(aws.guard.requests.map(({ headers }) => headers.authorization)).size).toBe(1000);
    await app.close();
    await aws.close();
  },
  300_000,
);
