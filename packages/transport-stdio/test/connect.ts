import { readFileSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { createCountersign, type Log } from '@countersign/core';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import stdio from '../src/index.js';

const script = fileURLToPath(new URL('./scripted-server.mjs', import.meta.url));

/** The entry of a configuration that runs the scripted server. */
export const scripted = (mode = '', more: Record<string, unknown> = {}): Record<string, unknown> => ({
  command: process.execPath,
  args: [script, mode],
  ...more,
});

const opened: { close(): Promise<void> }[] = [];

/** Ends what a test left open, because it failed. */
export async function closeAll(): Promise<void> {
  await Promise.all(opened.splice(0).map((app) => app.close()));
}

/** A client of the SDK's on a transport of ours, opened by core. */
export async function connect(
  entry: Record<string, unknown>,
  { env = {}, log }: { env?: Record<string, string>; log?: Log } = {},
) {
  const app = await createCountersign({ plugins: [stdio], servers: { local: entry }, env, ...(log ? { log } : {}) });
  opened.push(app);
  const transport = await app.transport('local');
  const client = new Client({ name: 'test', version: '1' });
  const errors: Error[] = [];
  client.onerror = (error) => errors.push(error);
  await client.connect(transport);
  return {
    app,
    client,
    errors,
    call: async (name: string, args: Record<string, unknown> = {}): Promise<string> => {
      const { content } = await client.callTool({ name, arguments: args });
      return (content as { text: string }[])[0]!.text;
    },
    close: async () => {
      await client.close();
      await app.close();
    },
  };
}

/** False for a zombie too: a container without an init process keeps those whose parent is gone. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return process.platform !== 'linux' || !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
