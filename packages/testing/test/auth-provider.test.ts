import { describe, expect, test } from '@jest/globals';
import {
  CountersignError,
  defineAuthProvider,
  renewing,
  type AuthProvider,
  type AuthProviderDefinition,
  type AuthServices,
  type OutgoingRequest,
} from '@countersign/core';
import { randomBytes } from 'node:crypto';
import * as z from 'zod/mini';
import { testAuthProvider, type AuthProviderScenario } from '../src/index.js';
import { failuresOf } from './collect-tests.js';

/** A place that exchanges a key for tickets, of which the newest is good. */
class TicketOffice {
  issued = 0;
  closed = false;
  ticket = '';
  readonly key = `key-${randomBytes(12).toString('hex')}`;

  async exchange(key: string, signal?: AbortSignal): Promise<string> {
    await new Promise((done) => setTimeout(done, 10));
    signal?.throwIfAborted();
    if (this.closed || key !== this.key)
      throw new CountersignError('CREDENTIAL_UNAVAILABLE', 'The ticket office is closed.');
    this.issued++;
    return (this.ticket = `ticket-${randomBytes(12).toString('hex')}`);
  }
}

const schema = z.strictObject({ key: z.string().register(z.globalRegistry, { secret: true }) });
type Options = z.infer<typeof schema>;
type Make = (office: TicketOffice, options: Options, services: AuthServices) => AuthProvider;

const stamp = {};

/** A provider that keeps the contract. */
const good: Make = (office, { key }, services) => {
  const tickets = renewing(async () => {
    const ticket = await office.exchange(key);
    services.conceal(ticket);
    services.log.debug('A new ticket.');
    return { ticket, expiresAt: undefined };
  }, services.clock);
  return {
    async authorize(request, signal) {
      request.headers.set('x-ticket', (await tickets.get(signal)).ticket);
    },
    async challenge({ request, response }) {
      if (response.status !== 401) return false;
      const { current } = tickets;
      if (current && request.headers.get('x-ticket') === current.ticket) tickets.drop(current);
      await tickets.get();
      return true;
    },
    variable: (_name, request) => request?.attempt.memo(stamp, () => request.attempt.nonce) ?? 'none',
    status: () => ({ state: 'ready', source: 'the ticket office' }),
  };
};

function subject(make: Make, changes: Partial<AuthProviderDefinition<Options>> = {}) {
  let office = new TicketOffice();
  const plugin = defineAuthProvider<Options>('countersign-auth-ticket', {
    type: 'ticket',
    options: schema,
    variables: ['TICKET_STAMP'],
    sets: () => ['x-ticket'],
    create: (options, services) => make(office, options, services),
    ...changes,
  });
  const scenario = (): AuthProviderScenario => {
    const mine = (office = new TicketOffice());
    return {
      options: { key: '${TICKET_KEY}' },
      env: { TICKET_KEY: mine.key },
      secrets: [mine.key],
      accepts: ({ headers }) => mine.ticket !== '' && headers['x-ticket'] === mine.ticket,
      revoke: () => void (mine.ticket = 'none'),
      renewals: () => mine.issued,
      cutOff: () => void (mine.closed = true),
    };
  };
  return { plugin, scenario };
}

describe('a provider that keeps the contract', () => testAuthProvider(test, subject(good)));

/** The good one with some members replaced. */
const but =
  (
    change: (
      provider: AuthProvider,
      office: TicketOffice,
      options: Options,
      services: AuthServices,
    ) => Partial<AuthProvider>,
  ): Make =>
  (office, options, services) => {
    const provider = good(office, options, services);
    return { ...provider, ...change(provider, office, options, services) };
  };

const authorize = (
  change: (
    request: OutgoingRequest,
    office: TicketOffice,
    options: Options,
    services: AuthServices,
  ) => void | Promise<void>,
): Make =>
  but((provider, office, options, services) => ({
    async authorize(request, signal) {
      await provider.authorize(request, signal);
      await change(request, office, options, services);
    },
  }));

const broken: [
  what: string,
  make: Make,
  test: string,
  message: RegExp,
  changes?: Partial<AuthProviderDefinition<Options>>,
][] = [
  [
    'puts no credential on a POST',
    authorize((request) => void (request.method === 'POST' && request.headers.delete('x-ticket'))),
    'authorizes a POST',
    /did not put a credential on it/,
  ],
  [
    'throws at a request without a body',
    authorize((request) => void request.body!.length),
    'authorizes a GET, which has no body',
    /A GET ended with .*mend `authorize`/,
  ],
  [
    'leaves the second attempt out',
    authorize((request) => void (request.attempt.number > 1 && request.headers.delete('x-ticket'))),
    'authorizes every attempt from nothing',
    /put the whole credential on every one/,
  ],
  [
    'keeps the request on itself',
    but((provider) => {
      let last: OutgoingRequest;
      return {
        async authorize(request, signal) {
          last = request;
          await provider.authorize({ ...request, headers: request.headers }, signal);
          const value = request.headers.get('x-ticket') ?? '';
          request.headers.delete('x-ticket');
          last.headers.set('x-ticket', value);
        },
      };
    }),
    'authorizes many requests at once, each for itself',
    /keep nothing about a request outside of it|did not put a credential/,
  ],
  [
    'changes the URL',
    authorize((request) => void request.url.searchParams.set('via', 'ticket')),
    'leaves alone what is not its own',
    /don't change request\.url/,
  ],
  [
    'sets a header of the transport',
    authorize((request) => void request.headers.set('content-type', 'text/plain')),
    'leaves alone what is not its own',
    /header content-type arrived as "text\/plain"/,
  ],
  [
    'drops a header of the caller',
    authorize((request) => void request.headers.delete('x-of-the-caller')),
    'leaves alone what is not its own',
    /set only the headers of your credential/,
  ],
  [
    'shows its credential to an origin that the server named',
    but((provider) => ({
      async challenge(context) {
        const named = context.challenges[0]?.parameters['resource_metadata'];
        if (named)
          await fetch(named, { headers: { 'x-ticket': context.request.headers.get('x-ticket') ?? '' } }).catch(
            () => undefined,
          );
        return provider.challenge!(context);
      },
    })),
    'stays on its origin',
    /Another origin, which the server had named, received a credential/,
  ],
  [
    'takes any option',
    good,
    'refuses an option that it does not know',
    /z\.strictObject/,
    { options: z.object({ key: z.string() }) },
  ],
  [
    'sends "undefined"',
    (office, options, services) => ({
      ...good(office, options, services),
      authorize: (request) => request.headers.set('x-ticket', String((services.env as { NOPE?: string }).NOPE)),
    }),
    'sends nothing without its credential',
    /went out all the same|ended with/,
  ],
  [
    'throws what is no CountersignError',
    but((provider, office) => ({
      async authorize(request, signal) {
        if (office.closed) throw new TypeError('Cannot read properties of undefined');
        await provider.authorize(request, signal);
      },
    })),
    'sends nothing without its credential',
    /throw a CountersignError, whose sentence says what is missing/,
  ],
  [
    'logs its key',
    authorize((_request, _office, { key }, services) => services.log.debug(`using ${key}`)),
    'shows no secret in a log, an error, its status or a URL',
    /the log has "using \[the secret\]"/,
  ],
  [
    'puts its key in the URL',
    authorize((request, _office, { key }) => void request.url.searchParams.set('key', key)),
    'shows no secret in a log, an error, its status or a URL',
    /a request's URL has/,
  ],
  [
    'tells its key in the status',
    but((_provider, _office, { key }) => ({ status: () => ({ state: 'ready', source: `key ${key}` }) })),
    'shows no secret in a log, an error, its status or a URL',
    /`status` answered/,
  ],
  [
    'throws its key, base64, in a cause',
    but((provider, office, { key }) => ({
      async authorize(request, signal) {
        if (office.closed)
          throw new CountersignError('CREDENTIAL_UNAVAILABLE', 'The office is closed.', {
            cause: new Error(`Basic ${btoa(`user:${key}`)}`),
          });
        await provider.authorize(request, signal);
      },
    })),
    'shows no secret in a log, an error, its status or a URL',
    /an error \(or its cause\) has/,
  ],
  [
    'gets a ticket for every request',
    (office, options, services) => ({
      ...good(office, options, services),
      authorize: async (request) =>
        request.headers.set('x-ticket', (office.ticket = await office.exchange(options.key))),
    }),
    'renews once for all who were refused',
    /made the provider obtain 20 credentials|did not put a credential/,
  ],
  [
    'renews whenever it is told of a refusal',
    but((_provider, office, { key }, services) => {
      let ticket = '';
      let getting: Promise<string> | undefined;
      return {
        async authorize(request) {
          request.headers.set(
            'x-ticket',
            (ticket ||= await (getting ??= office.exchange(key).then((fresh) => (services.conceal(fresh), fresh)))),
          );
        },
        async challenge() {
          ticket = await office.exchange(key);
          ticket = await office.exchange(key);
          return true;
        },
      };
    }),
    'renews once for all who were refused',
    /made the provider renew 2 times/,
  ],
  [
    'waits for ever',
    but(() => ({ challenge: () => new Promise<boolean>(() => undefined) })),
    'ends, when the server never accepts',
    /never waits for the server to change its mind/,
  ],
  [
    'sends the request itself',
    but((provider) => ({
      async challenge(context) {
        for (let n = 0; n < 5; n++) await fetch(context.request.url).catch(() => undefined);
        return provider.challenge!(context);
      },
    })),
    'ends, when the server never accepts',
    /`challenge` never sends it/,
  ],
  [
    'ends a shared renewal with the first request',
    but((_provider, office, { key }, services) => {
      let shared: Promise<string> | undefined;
      return {
        async authorize(request, signal) {
          shared ??= office.exchange(key, signal);
          const ticket = await shared;
          services.conceal(ticket);
          request.headers.set('x-ticket', ticket);
        },
      };
    }),
    'survives the abort of a request',
    /must not end with the signal of the first/,
  ],
  [
    'computes a variable anew at each call',
    but(() => ({ variable: () => randomBytes(4).toString('hex') })),
    'computes variables that agree within an attempt',
    /request\.attempt\.memo/,
  ],
  [
    'takes the time of a variable from the clock',
    but(() => ({ variable: (_name, request) => request && new Date().toISOString() })),
    'computes variables that agree within an attempt',
    /request\.attempt\.time|request\.attempt\.memo/,
  ],
  [
    'lists a variable that it does not compute',
    (office, options, services) => {
      const provider = good(office, options, services);
      delete (provider as { variable?: unknown }).variable;
      return provider;
    },
    'computes variables that agree within an attempt',
    /has no `variable`/,
  ],
  [
    'breaks without a request',
    but(() => ({ variable: (_name, request) => request!.attempt.nonce })),
    'computes variables that agree within an attempt',
    /a child's environment/,
  ],
  [
    'sets a header that it does not announce',
    good,
    'sets no other headers than it announces',
    /set x-ticket, which `sets` does not list/,
    { sets: () => ['authorization'] },
  ],
  [
    'has no source in its status',
    but(() => ({ status: () => ({ state: 'ready', source: '' }) })),
    'tells its status',
    /names no source/,
  ],
  [
    'has a state of its own',
    but(() => ({ status: () => ({ state: 'fine' as 'ready', source: 'x' }) })),
    'tells its status',
    /it is ready, login_required, failed or unused/,
  ],
  [
    'breaks when it is closed twice',
    but(() => {
      let closed = false;
      return {
        dispose() {
          if (closed) throw new Error('closed');
          closed = true;
        },
      };
    }),
    'can be closed, used or not, and twice',
    /`dispose` failed/,
  ],
];

describe('tells the author what to mend of a provider that', () => {
  test.each(broken)(
    '%s',
    async (...[, make, name, message, changes]) => {
      const failures = await failuresOf((register) =>
        testAuthProvider((title, body) => title === name && register(title, body), subject(make, changes)),
      );
      expect(failures[name]).toMatch(message);
    },
    20_000,
  );

  test('could renew, and gives no means to test it', async () => {
    const { plugin, scenario } = subject(good);
    const unable = {
      plugin,
      scenario: () => {
        const able = scenario();
        delete (able as { revoke?: unknown }).revoke;
        return able;
      },
    };
    const failures = await failuresOf((register) => testAuthProvider(register, unable));
    expect(failures).toEqual({
      'renews once for all who were refused': expect.stringContaining('give the scenario `revoke`') as unknown,
    });
  }, 20_000);
});
