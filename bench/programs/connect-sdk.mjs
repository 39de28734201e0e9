// connect-sdk.mjs URL N: connects N clients at once over the SDK's own transport, with a fixed header.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const [, , url = '', number = ''] = process.argv;
const headers = { Authorization: `Bearer ${process.env.BENCH_TOKEN}` };
const clients = await Promise.all(
  Array.from({ length: Number(number) }, async () => {
    const client = new Client({ name: 'bench', version: '0' });
    await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
    return client;
  }),
);
console.log(`connected ${clients.length}`);
await Promise.all(clients.map((client) => client.close()));
