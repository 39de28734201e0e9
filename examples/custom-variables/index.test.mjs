import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { afterEach, beforeEach, test } from 'node:test';
import headers from '@countersign/auth-headers';
import { createCountersign, defineVariableSource } from '@countersign/core';
import { recordMcpServer } from '@countersign/testing';
import { vault } from './index.mjs';

let [server, kv, asked, app] = [];
beforeEach(async () => {
  asked = [];
  server = await recordMcpServer();
  kv = createServer((request, response) => {
    asked.push(request.url);
    const known = request.headers['x-vault-token'] === 'vault-token' && request.url === '/v1/secret/data/acme';
    response
      .writeHead(known ? 200 : 403)
      .end(JSON.stringify({ data: { data: { user: 'robot', key: 'key-from-the-vault' } } }));
  });
  kv.listen(0, '127.0.0.1');
  await once(kv, 'listening');
});
afterEach(async () => {
  await app?.close();
  await server.close();
  kv.closeAllConnections();
  kv.close();
});

async function post(template, token = 'vault-token') {
  const source = vault({ VAULT_ADDR: `http://127.0.0.1:${kv.address().port}`, VAULT_TOKEN: token });
  app = await createCountersign({
    plugins: [headers, defineVariableSource('countersign-variables-vault', source)],
    servers: { orders: { url: server.url.href, headers: { 'X-Key': template } } },
    env: {},
  });
  const ping = {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"jsonrpc":"2.0","id":1,"method":"ping"}',
  };
  return Promise.all(Array.from({ length: 10 }, () => app.fetch('orders')(server.url, ping)));
}

test('puts fields of a secret into a header, and asks the vault once', async () => {
  await post('${vault.acme.user}:${vault.acme.key}');
  assert.deepEqual(
    [...new Set(server.requests.map((request) => request.headers['x-key']))],
    ['robot:key-from-the-vault'],
  );
  assert.deepEqual(asked, ['/v1/secret/data/acme']);
  assert.equal(app.redact('key-from-the-vault').includes('vault'), false);
});

test('sends nothing when the vault refuses, and says why without its token', async () => {
  await assert.rejects(
    post('${vault.acme.key}', 'wrong-vault-token'),
    (error) => error.code === 'CREDENTIAL_UNAVAILABLE' && !error.message.includes('wrong-vault-token'),
  );
  assert.equal(server.requests.length, 0);
});

test('sends nothing when the secret has no such field', async () => {
  await assert.rejects(post('Bearer ${vault.acme.nothing}'), { code: 'UNRESOLVED_VARIABLE' });
  assert.equal(server.requests.length, 0);
});
