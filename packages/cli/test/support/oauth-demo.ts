import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { createServer, type AddressInfo } from 'node:net';

export interface Demo {
  /** Of the MCP server: its URL is http://HOST/mcp. */
  readonly host: string;
  readonly authority: string;
  readonly close: () => void;
}

// The SDK's own demonstration: an MCP server, and an authorization server that consents at once.
const demo = createRequire(import.meta.url)
  .resolve('@modelcontextprotocol/sdk/examples/server/simpleStreamableHttp.js')
  .replace(/dist([\\/])cjs/, 'dist$1esm');

/** Starts the SDK's OAuth demonstration on free ports. */
export async function startDemo(): Promise<Demo> {
  const [mcp, authority] = [await freePort(), await freePort()];
  const child = spawn(process.execPath, [demo, '--oauth'], {
    env: { PATH: process.env['PATH'], MCP_PORT: String(mcp), MCP_AUTH_PORT: String(authority) },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let said = '';
  while (!said.includes('MCP Streamable HTTP Server listening')) said += String((await once(child.stdout, 'data'))[0]);
  child.stdout.resume();
  return { host: `localhost:${mcp}`, authority: `localhost:${authority}`, close: () => void child.kill('SIGKILL') };
}

/** A port that nobody listens on just now. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}
