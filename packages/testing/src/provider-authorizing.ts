import { isCountersignError } from '@countersign/core';
import { expect, failureOf, told, within } from './expectations.js';
import { expectAccepted, type Behaviour } from './provider-bench.js';

/** What a provider puts on requests. */
export const AUTHORIZING: Readonly<Record<string, Behaviour>> = {
  async 'authorizes a POST'({ start }) {
    await expectAccepted((await start()).post(), 'A POST');
  },

  async 'authorizes a GET, which has no body'({ start }) {
    await expectAccepted((await start()).get(), 'A GET');
  },

  async 'authorizes every attempt from nothing'({ start, server, scenario }) {
    const instance = await start();
    let answered = 0;
    const accepted: boolean[] = [];
    server.answer = async (request) => {
      accepted.push(await scenario.accepts(request));
      return answered++ < 2 ? { status: 503, headers: { 'retry-after': '0' } } : undefined;
    };
    const response = await within(instance.get(), 'A GET that was answered 503 with Retry-After: 0 did not end');
    await response.body?.cancel();
    expect(
      accepted.length === 3 && accepted.every(Boolean),
      `Of the attempts at one request ${accepted.map((ok, n) => `${n + 1}: ${ok ? 'accepted' : 'refused'}`).join(', ')}. Each comes as a fresh copy: put the whole credential on every one.`,
    );
    for (const request of server.requests) {
      const doubled = Object.entries(request.headers).find(
        ([name, value]) => name !== 'accept' && /^(.{4,}), \1$/.test(value),
      );
      expect(!doubled, `The header ${doubled?.[0]} went out twice in one: use headers.set, not headers.append.`);
    }
  },

  async 'authorizes many requests at once, each for itself'({ start, server }) {
    const instance = await start();
    await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        expectAccepted(instance.post({ path: `?n=${n}` }), 'One of twenty requests at once'),
      ),
    );
    expect(
      server.requests.length === 20,
      `Twenty requests at once needed ${server.requests.length} attempts: keep nothing about a request outside of it.`,
    );
  },

  async 'leaves alone what is not its own'({ start, server }) {
    const instance = await start();
    server.answer = () => ({ status: 200 });
    const headers = {
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
      'mcp-session-id': 'a-session',
      'mcp-protocol-version': '2025-11-25',
      'last-event-id': '7',
      'x-of-the-caller': 'kept',
    };
    const body = '{"jsonrpc":"2.0","id":1,"method":"ping","note":"ünïcode"}';
    await within(instance.post({ path: '?a=1&b=2', headers, body }), 'A POST did not end');
    const [request] = server.requests;
    expect(request, 'A POST never reached the server.');
    expect(
      request.url.pathname + request.url.search === '/mcp?a=1&b=2',
      `The request went to ${request.url.pathname}: don't change request.url, which is what the exchange sends to.`,
    );
    expect(
      request.method === 'POST' && request.body === body,
      'The body arrived changed: it is final, and other members sign it.',
    );
    for (const [name, value] of Object.entries(headers)) {
      const kept = name === 'accept' ? request.headers[name]?.startsWith(value) : request.headers[name] === value;
      expect(
        kept,
        `The header ${name} arrived as ${JSON.stringify(request.headers[name])}, not ${JSON.stringify(value)}: set only the headers of your credential.`,
      );
    }
  },

  async 'refuses an option that it does not know'({ start, scenario }) {
    const failure = await failureOf(
      start({ options: { ...scenario.options, optionThatNobodyKnows: true } }).then((instance) => instance.provider),
    );
    expect(
      isCountersignError(failure, 'AUTH_OPTIONS_INVALID'),
      `An unknown option was met with ${told(failure) || 'silence'}: make the schema a z.strictObject, so that a typing error is told.`,
    );
  },
};
