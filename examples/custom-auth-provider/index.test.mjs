import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { testAuthProvider } from '@countersign/testing';
import plugin from './index.mjs';

testAuthProvider(test, { plugin, scenario: ticketOffice });

/** A real endpoint on loopback that trades the key for tickets, of which the newest is good. */
async function ticketOffice() {
  const key = `key-${randomUUID()}`;
  let [ticket, issued, closed] = ['', 0, false];
  const office = createServer(async (request, response) => {
    let form = '';
    for await (const chunk of request.setEncoding('utf8')) form += chunk;
    if (closed || new URLSearchParams(form).get('key') !== key) return response.writeHead(403).end();
    issued++;
    ticket = `ticket-${randomUUID()}`;
    response.end(JSON.stringify({ ticket, seconds: 3600 }));
  });
  office.listen(0, '127.0.0.1');
  await once(office, 'listening');
  return {
    options: { url: `http://127.0.0.1:${office.address().port}/tickets`, key: '${TICKET_KEY}' },
    env: { TICKET_KEY: key },
    secrets: [key],
    accepts: ({ headers }) => headers['x-ticket'] === ticket,
    revoke: () => (ticket = 'none yet'),
    renewals: () => issued,
    cutOff: () => (closed = true),
    dispose() {
      office.closeAllConnections();
      office.close();
    },
  };
}
