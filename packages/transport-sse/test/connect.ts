import headers from '@countersign/auth-headers';
import { createCountersign, defineAuthProvider, type Clock, type Plugin } from '@countersign/core';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import * as z from 'zod/mini';
import sse from '../src/index.js';

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

/** A clock whose sleeps end only when they are cut short. */
export function patientClock(): Clock & { readonly sleeps: number[] } {
  const sleeps: number[] = [];
  return {
    sleeps,
    now: () => Date.now(),
    sleep: (ms, signal) => {
      sleeps.push(ms);
      return new Promise((_, reject) =>
        signal?.addEventListener('abort', () => reject(new Error('woken')), { once: true }),
      );
    },
  };
}

/** A credential that is renewed on a 401: "token-1", "token-2" … */
export function renewingToken(): { plugin: Plugin; current: () => string } {
  let number = 1;
  const plugin = defineAuthProvider('countersign-auth-renewing', {
    type: 'renewing',
    options: z.strictObject({}),
    create: () => ({
      authorize: (request) => request.headers.set('authorization', `Bearer token-${number}`),
      challenge: async () => Boolean(++number),
    }),
  });
  return { plugin, current: () => `token-${number}` };
}

export interface Surroundings {
  readonly clock?: Clock;
  readonly env?: Record<string, string>;
  readonly plugins?: Plugin[];
}

const opened: { close(): Promise<void> }[] = [];

/** Ends what a test left open, because it failed. */
export async function closeAll(): Promise<void> {
  await Promise.all(opened.splice(0).map((app) => app.close()));
}

/** A client of the SDK's on a transport of ours, through core's exchange. */
export async function connect(entry: Record<string, unknown>, { clock, env = {}, plugins = [] }: Surroundings = {}) {
  const app = await createCountersign({
    plugins: [sse, headers, ...plugins],
    servers: { orders: entry },
    env,
    ...(clock ? { clock } : {}),
  });
  opened.push(app);
  const transport = await app.transport('orders');
  const client = new Client({ name: 'test', version: '1' });
  const errors: Error[] = [];
  client.onerror = (error) => errors.push(error);
  const closed = new Promise<void>((resolve) => (client.onclose = resolve));
  await client.connect(transport);
  return {
    client,
    errors,
    closed,
    close: async () => {
      await client.close();
      await app.close();
    },
  };
}
