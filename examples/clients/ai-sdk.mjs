// The AI SDK's MCP client with our fetch.
import { createMCPClient } from '@ai-sdk/mcp';
import bearer from '@countersign/auth-bearer';
import { createCountersign } from '@countersign/core';
import { guardedEverything, TOKEN } from './servers.mjs';

const server = await guardedEverything();
const app = await createCountersign({
  plugins: [bearer],
  servers: { orders: { url: server.url, auth: { method: 'bearer', token: '${ORDERS_TOKEN}' } } },
  env: { ORDERS_TOKEN: TOKEN },
});

const client = await createMCPClient({ transport: { type: 'http', url: server.url, fetch: app.fetch('orders') } });
const { echo } = await client.tools();
const { content } = await echo.execute({ message: 'ai-sdk' }, { toolCallId: '1', messages: [] });
console.log(content[0].text);
await client.close();
await app.close();
await server.close();
