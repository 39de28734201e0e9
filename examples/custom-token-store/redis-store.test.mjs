import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { testSecretStore } from '@countersign/testing';
import { Redis } from 'ioredis';
import { redisStore } from './redis-store.mjs';

const folder = await mkdtemp(join(tmpdir(), 'redis-'));
const port = await freePort();
const url = `redis://127.0.0.1:${port}`;
const server = spawn(
  'redis-server',
  ['--bind', '127.0.0.1', '--port', String(port), '--dir', folder, '--save', '', '--appendonly', 'no'],
  { stdio: ['ignore', 'pipe', 'inherit'] },
);
process.once('exit', () => server.kill());
server.once('error', (error) => {
  throw new Error('This test needs redis-server: apt-get install redis-server', { cause: error });
});
for await (const line of createInterface(server.stdout)) if (line.includes('Ready to accept connections')) break;
server.stdout.resume();
const admin = new Redis(url);

after(async () => {
  admin.disconnect();
  server.kill();
  await once(server, 'exit');
  await rm(folder, { recursive: true, force: true });
});

testSecretStore(test, {
  create: () => redisStore(url),
  // A server that asks for replicas, which it does not have, refuses every write.
  failWrites: (failing) => admin.config('SET', 'min-replicas-to-write', failing ? '1' : '0'),
  loseLock: (key) => admin.del(`countersign:lock:${key}`),
  processes: new URL('./open-store.mjs', import.meta.url),
  env: { REDIS_URL: url },
});

async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port: free } = probe.address();
  probe.close();
  await once(probe, 'close');
  return free;
}
