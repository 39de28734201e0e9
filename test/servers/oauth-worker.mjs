// One of several processes on one store: node oauth-worker.mjs BUNDLE DIRECTORY URL, driven by messages of its parent.
// { call: n } makes n requests at once and answers { results: [200, 'LOGIN_REQUIRED', …] }; { pause: true } makes the next refresh
// say { claiming: true } before it claims the token, and wait for { go: true }.
import process from 'node:process';

const [bundle = '', directory = '', url = ''] = process.argv.slice(2);
const { createCountersign, fileStore, oauth } = await import(bundle);
const store = fileStore({ directory });
let paused = false;
/** @type {() => void} */
let go = () => {};

const app = await createCountersign({
  plugins: [oauth],
  servers: { server: { url, auth: { method: 'oauth' } } },
  env: {},
  log: { debug() {}, warn: (/** @type {string} */ line) => console.error(line) },
  store: {
    ...store,
    async update(/** @type {string} */ key, /** @type {any[]} */ ...rest) {
      if (paused && key.includes('.intent.')) {
        paused = false;
        const resumed = new Promise((resolve) => (go = () => resolve(undefined)));
        process.send?.({ claiming: true });
        await resumed;
      }
      return store.update(key, ...rest);
    },
  },
});
const body = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'worker', version: '1' } },
});

async function call() {
  try {
    const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
    const response = await app.fetch('server')(url, { method: 'POST', headers, body });
    await response.text();
    return response.status;
  } catch (error) {
    const { code, message } = /** @type {{ code?: string, message: string }} */ (error);
    return code ?? message;
  }
}

process.on('message', async (/** @type {{ call?: number, pause?: boolean, go?: boolean }} */ message) => {
  if (message.pause) paused = true;
  if (message.go) go();
  if (message.call) process.send?.({ results: await Promise.all(Array.from({ length: message.call }, call)) });
});
process.on('disconnect', () => process.exit());
process.send?.({ ready: true });
