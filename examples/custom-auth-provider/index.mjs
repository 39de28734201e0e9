import { CountersignError, defineAuthProvider, renewing } from '@countersign/core';
import * as z from 'zod/mini';

/** `auth: { method: "ticket", url, key }`: trades a key for a ticket, and shows the ticket in `X-Ticket`. */
const options = z.strictObject({
  url: z.url().register(z.globalRegistry, { description: 'Where a key is traded for a ticket.' }),
  key: z.string().register(z.globalRegistry, { description: 'The key: "${TICKET_KEY}".', secret: true }),
});

export default defineAuthProvider('countersign-auth-ticket', {
  type: 'ticket',
  options,
  sets: () => ['x-ticket'],
  create({ url, key }, { fetch, clock, conceal }) {
    const tickets = renewing(async () => {
      const response = await fetch(url, { method: 'POST', body: new URLSearchParams({ key }) });
      if (!response.ok)
        throw new CountersignError('CREDENTIAL_UNAVAILABLE', `${url} gives no ticket (${response.status}).`);
      const { ticket, seconds } = await response.json();
      conceal(ticket);
      return { ticket, expiresAt: clock.now() + seconds * 1000 };
    }, clock);
    return {
      async authorize({ headers }, signal) {
        headers.set('x-ticket', (await tickets.get(signal)).ticket);
      },
      async challenge({ request, response }) {
        if (response.status !== 401) return false; // a 403 knows the ticket, and refuses what it is for
        if (tickets.current?.ticket === request.headers.get('x-ticket')) tickets.drop(tickets.current);
        return true;
      },
      status: () => ({
        state: 'ready',
        source: `tickets of ${new URL(url).host}`,
        ...(tickets.current && { expiresAt: new Date(tickets.current.expiresAt) }),
      }),
    };
  },
});
