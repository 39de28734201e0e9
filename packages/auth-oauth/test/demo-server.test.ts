import { expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { visit } from './fake.js';
import { call, client, person } from './support.js';

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

test("signs in at the MCP SDK's own demo authorization server", async () => {
  const script = createRequire(import.meta.url).resolve(
    '@modelcontextprotocol/sdk/examples/server/simpleStreamableHttp.js',
  );
  const [port, authPort] = [await freePort(), await freePort()];
  const child = spawn(process.execPath, [script, '--oauth'], {
    env: { PATH: process.env['PATH'], MCP_PORT: String(port), MCP_AUTH_PORT: String(authPort) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    let said = '';
    while (!said.includes('MCP Streamable HTTP Server listening')) {
      const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
      said += chunk.toString();
    }
    const url = `http://localhost:${port}/mcp`;
    const { app } = await client(url, { interaction: person((at) => visit(at)) });
    expect(await call(app, url)).toBe(200);
    expect(await app.status('server')).toMatchObject({ state: 'ready', scopes: ['mcp:tools'], refreshable: false });
    await app.close();
  } finally {
    child.kill('SIGKILL');
  }
}, 30_000);
