// connect-countersign.mjs URL N: connects N clients at once, each to a server of its own name, over Countersign's transports.
import bearer from '@countersign/auth-bearer';
import { createCountersign } from '@countersign/core';
import streamableHttp from '@countersign/transport-streamable-http';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';

const [, , url = '', number = ''] = process.argv;
const names = Array.from({ length: Number(number) }, (_, index) => `server-${index}`);
const servers = Object.fromEntries(
  names.map((name) => [name, { url, auth: { method: 'bearer', token: '${BENCH_TOKEN}' } }]),
);
const app = await createCountersign({ plugins: [bearer, streamableHttp], servers });
const clients = await Promise.all(
  names.map(async (name) => {
    const client = new Client({ name: 'bench', version: '0' });
    await client.connect(await app.transport(name));
    return client;
  }),
);
console.log(`connected ${clients.length}`);
await Promise.all(clients.map((client) => client.close()));
await app.close();
