// The other end: real MCP servers behind guards that let only the right credential through.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { bearer, closeEverything, everything, startGuard } from '@countersign/test-servers';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import * as z from 'zod';

export const TOKEN = 'token-of-the-example';

/** server-everything (2025-11-25) behind a bearer guard. */
export async function guardedEverything() {
  const { url } = await everything();
  const guard = await startGuard({ target: url, verify: bearer(TOKEN) });
  return { url: `${guard.origin}/mcp`, close: () => Promise.all([guard.close(), closeEverything()]) };
}

/** A server of the 2026-07-28 revision, by the SDK's own handler, behind a bearer guard. */
export async function guardedModern() {
  const handler = createMcpHandler(() => {
    const server = new McpServer({ name: 'modern', version: '1.0.0' });
    server.registerTool('echo', { inputSchema: z.object({ message: z.string() }) }, ({ message }) => ({
      content: [{ type: 'text', text: `Echo: ${message}` }],
    }));
    return server;
  });
  const answer = toNodeHandler(handler);
  const http = createServer((request, response) => void answer(request, response)).listen(0, '127.0.0.1');
  await once(http, 'listening');
  const target = new URL(`http://127.0.0.1:${http.address().port}/mcp`);
  const guard = await startGuard({ target, verify: bearer(TOKEN) });
  return {
    url: `${guard.origin}/mcp`,
    async close() {
      await guard.close();
      http.closeAllConnections();
      http.close();
    },
  };
}
