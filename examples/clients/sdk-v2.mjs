// SDK v2 takes the same fetch, for servers of the older revisions and of 2026-07-28.
import bearer from '@countersign/auth-bearer';
import { createCountersign } from '@countersign/core';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { guardedEverything, guardedModern, TOKEN } from './servers.mjs';

const servers = { older: await guardedEverything(), modern: await guardedModern() };
const auth = { method: 'bearer', token: '${ORDERS_TOKEN}' };
const app = await createCountersign({
  plugins: [bearer],
  servers: { older: { url: servers.older.url, auth }, modern: { url: servers.modern.url, auth } },
  env: { ORDERS_TOKEN: TOKEN },
});

for (const [name, { url }] of Object.entries(servers)) {
  const client = new Client({ name: 'example', version: '1.0.0' }, { versionNegotiation: { mode: 'auto' } });
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { fetch: app.fetch(name) }));
  const { content } = await client.callTool({ name: 'echo', arguments: { message: name } });
  console.log(`${client.getNegotiatedProtocolVersion?.() ?? ''} ${content[0].text}`.trim());
  await client.close();
}
await app.close();
for (const server of Object.values(servers)) await server.close();
