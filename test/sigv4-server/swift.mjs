import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export const ACCESS_KEY = 'test:tester';
export const SECRET_KEY = 'testing-secret-0001';
export const REGION = 'eu-north-1';

/** OpenStack Swift with its S3 front end (Debian: swift-proxy, swift-account, swift-container, swift-object), objects in memory, on loopback. */
export async function startSwift() {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-swift-'));
  const ports = {
    proxy: await freePort(),
    account: await freePort(),
    container: await freePort(),
    object: await freePort(),
  };
  mkdirSync(join(folder, 'devices', 'd1'), { recursive: true });
  const common = `bind_ip = 127.0.0.1\nworkers = 0\nuser = ${userInfo().username}\nswift_dir = ${folder}\ndevices = ${join(folder, 'devices')}\nmount_check = false\nlog_address = ${join(folder, 'log')}\n`;
  for (const kind of /** @type {const} */ (['account', 'container', 'object'])) {
    const app = kind === 'object' ? 'mem_object' : kind;
    writeFileSync(
      join(folder, `${kind}.conf`),
      `[DEFAULT]\nbind_port = ${ports[kind]}\n${common}[pipeline:main]\npipeline = ${kind}-server\n[app:${kind}-server]\nuse = egg:swift#${app}\n`,
    );
    const ring = join(folder, `${kind}.builder`);
    for (const step of [['create', '4', '1', '0'], ['add', `r1z1-127.0.0.1:${ports[kind]}/d1`, '1'], ['rebalance']])
      execFileSync('swift-ring-builder', [ring, ...step], { stdio: 'ignore' });
  }
  writeFileSync(
    join(folder, 'proxy.conf'),
    `[DEFAULT]\nbind_port = ${ports.proxy}\n${common}[pipeline:main]\npipeline = catch_errors cache s3api tempauth proxy-server\n[app:proxy-server]\nuse = egg:swift#proxy\nallow_account_management = true\naccount_autocreate = true\n[filter:catch_errors]\nuse = egg:swift#catch_errors\n[filter:cache]\nuse = egg:swift#memcache\nmemcache_servers = 127.0.0.1:1\n[filter:tempauth]\nuse = egg:swift#tempauth\nuser_test_tester = ${SECRET_KEY} .admin\n[filter:s3api]\nuse = egg:swift#s3api\nlocation = ${REGION}\ns3_acl = false\n`,
  );
  const servers = Object.keys(ports).map((kind) => {
    const child = spawn(`swift-${kind}-server`, [join(folder, `${kind}.conf`)], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let complaints = '';
    child.stderr.on('data', (chunk) => (complaints = (complaints + chunk).slice(-4096)));
    const failed = Promise.race([
      once(child, 'error').then(([error]) => Promise.reject(error)),
      once(child, 'exit').then(([code]) =>
        Promise.reject(new Error(`swift-${kind}-server ended with ${code}: ${complaints}`)),
      ),
    ]);
    failed.catch(() => {});
    return { child, failed };
  });
  const close = async () => {
    await Promise.all(
      servers.map(({ child }) => child.exitCode ?? child.signalCode ?? (child.kill('SIGKILL'), once(child, 'exit'))),
    );
    rmSync(folder, { recursive: true });
  };
  try {
    await Promise.race([Promise.all(Object.values(ports).map(listens)), ...servers.map(({ failed }) => failed)]);
  } catch (error) {
    await close();
    throw error;
  }
  return { url: `http://127.0.0.1:${ports.proxy}`, close };
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  server.close();
  return port;
}

/** @param {number} port */
async function listens(port) {
  for (const deadline = Date.now() + 60_000; Date.now() < deadline; await delay(100)) {
    const socket = connect(port, '127.0.0.1');
    const connected = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (connected) return;
  }
  throw new Error(`Nothing listens on port ${port} after a minute.`);
}
