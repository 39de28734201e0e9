import { createCountersign, type Clock, type Plugin } from '@countersign/core';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import streamableHttp from '../src/index.js';

/** A clock whose sleeps end at once, and that remembers them. */
export function hastyClock(): Clock & { readonly sleeps: number[] } {
  const sleeps: number[] = [];
  return {
    sleeps,
    now: () => Date.now(),
    async sleep(ms, signal) {
      signal?.throwIfAborted();
      sleeps.push(ms);
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

const opened: { close(): Promise<void> }[] = [];

/** Ends what a test left open, because it failed. */
export async function closeAll(): Promise<void> {
  await Promise.all(opened.splice(0).map((app) => app.close()));
}

/** A client of the SDK's on a transport of ours, through core's exchange. */
export async function connect(
  entry: Record<string, unknown>,
  { plugins = [], clock }: { plugins?: Plugin[]; clock?: Clock } = {},
) {
  const app = await createCountersign({
    plugins: [streamableHttp, ...plugins],
    servers: { orders: entry },
    env: {},
    ...(clock ? { clock } : {}),
  });
  opened.push(app);
  const transport = await app.transport('orders');
  const client = new Client({ name: 'test', version: '1' });
  const errors: Error[] = [];
  client.onerror = (error) => errors.push(error);
  await client.connect(transport);
  return {
    client,
    transport,
    errors,
    async close() {
      await client.close();
      await app.close();
    },
  };
}

/** Promise.withResolvers, which Node 20 lacks. */
export function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve!: () => void;
  const promise = new Promise<void>((done) => (resolve = done));
  return { promise, resolve };
}
