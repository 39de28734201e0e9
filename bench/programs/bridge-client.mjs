import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';

const TICK = 10; // milliseconds of Linux's clock for processes

/**
 * Starts a bridge and speaks to it as a client that costs little: answers are told by their last bytes, and not parsed.
 * @param {string[]} command
 * @param {Record<string, string | undefined>} env
 */
export async function startBridge(command, env) {
  const begun = performance.now();
  const child = spawn(process.execPath, command, {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { ...process.env, ...env },
  });
  child.stdin.on('error', () => undefined);
  /** @type {Map<number, () => void>} */
  const waiting = new Map();
  /** @type {Buffer[]} */
  let rest = [];
  let lastId = 0;
  let notifications = 0;
  child.stdout.on('data', (/** @type {Buffer} */ chunk) => {
    let at = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, at)) {
      rest.push(chunk.subarray(at, end));
      line(rest.length === 1 ? rest[0] : Buffer.concat(rest));
      rest = [];
      at = end + 1;
    }
    if (at < chunk.length) rest.push(chunk.subarray(at));
  });

  /** @param {Buffer | undefined} bytes */
  function line(bytes) {
    if (!bytes) return;
    const ends = bytes.subarray(-40).toString('latin1') + bytes.subarray(0, 60).toString('latin1');
    const id = /"id":(\d+)/.exec(ends)?.[1];
    if (id === undefined) notifications++;
    waiting.get(Number(id))?.();
    waiting.delete(Number(id));
  }

  /** @param {string} method @param {unknown} [params] @returns {Promise<void>} */
  function request(method, params) {
    const id = ++lastId;
    /** @type {(resolve: (value: void) => void, reject: (reason: unknown) => void) => void} */
    const send = (resolve, reject) => {
      waiting.set(id, () => resolve());
      child.once('exit', reject);
      child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`);
    };
    return new Promise(send).finally(() => child.removeAllListeners('exit'));
  }

  const stat = (/** @type {string} */ file) => readFileSync(`/proc/${child.pid}/${file}`, 'utf8');
  const megabytes = (/** @type {string} */ field) =>
    Number(new RegExp(`${field}:\\s+(\\d+)`).exec(stat('status'))?.[1]) / 1024;
  /** CPU milliseconds of the process so far. */
  const cpu = () => {
    const fields = stat('stat').split(') ')[1]?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) * TICK;
  };

  child.setMaxListeners(0);
  await request('initialize', {
    protocolVersion: '2025-06-18',
    capabilities: {},
    clientInfo: { name: 'bench', version: '1' },
  });
  const start = { wall: performance.now() - begun, cpu: cpu(), peak: megabytes('VmHWM') };
  child.stdin.write('{"jsonrpc":"2.0","method":"notifications/initialized"}\n');
  await request('tools/list');

  return {
    start,
    rss: () => megabytes('VmRSS'),
    peak: () => megabytes('VmHWM'),
    notifications: () => notifications,
    /** CPU and wall milliseconds of `count` calls, `width` at a time. @param {string} name @param {number} width @param {number} count */
    async calls(name, width, count, words = {}) {
      let left = count;
      const one = async () => {
        while (left-- > 0) await request('tools/call', { name, arguments: words });
      };
      const before = { cpu: cpu(), wall: performance.now() };
      await Promise.all(Array.from({ length: Math.min(width, count) }, one));
      return { cpu: cpu() - before.cpu, wall: performance.now() - before.wall };
    },
    async end() {
      child.stdin.end();
      const late = setTimeout(() => child.kill('SIGKILL'), 3000);
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      clearTimeout(late);
    },
  };
}
