// SDK v1: our transport, or its own transport with our fetch.
import bearer from '@countersign/auth-bearer';
import { createCountersign } from '@countersign/core';
import streamableHttp from '@countersign/transport-streamable-http';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { guardedEverything, TOKEN } from './servers.mjs';

const server = await guardedEverything();
const app = await createCountersign({
  plugins: [bearer, streamableHttp],
  servers: { orders: { url: server.url, auth: { method: 'bearer', token: '${ORDERS_TOKEN}' } } },
  env: { ORDERS_TOKEN: TOKEN },
});

const transports = {
  'our transport': await app.transport('orders'),
  'its own transport, our fetch': new StreamableHTTPClientTransport(new URL(server.url), {
    fetch: app.fetch('orders'),
  }),
};
for (const [name, transport] of Object.entries(transports)) {
  const client = new Client({ name: 'example', version: '1.0.0' });
  await client.connect(transport);
  const { content } = await client.callTool({ name: 'echo', arguments: { message: name } });
  console.log(content[0].text);
  await client.close();
}
await app.close();
await server.close();
