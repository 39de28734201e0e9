import { findCountersignError } from '@countersign/core';
import { expect, failureOf, told, within } from './expectations.js';
import type { Message } from './mcp-messages.js';
import type { Connection, TransportBehaviour } from './transport-bench.js';

/** What every transport has to show. */
export const ANYWHERE: Readonly<Record<string, TransportBehaviour>> = {
  async 'carries a request to the server and its answer back'({ connect }) {
    const connection = await connect();
    const answer = await within(
      connection.ask('tools/list'),
      'tools/list was not answered: hand what comes to `onmessage`',
    );
    expect(
      JSON.stringify(answer.result).includes('echo'),
      `tools/list was answered with ${JSON.stringify(answer.result ?? answer.error)}: hand the message on as it is.`,
    );
  },

  async 'carries any text'({ connect }) {
    const connection = await connect();
    for (const text of ['ünïcode 🔑', 'line\nfeed\r\n\u2028', '</script>"\\', 'x'.repeat(300_000)]) {
      const answer = await within(
        echo(connection, text),
        `A call with ${JSON.stringify(text.slice(0, 20))} was not answered: a message may be cut anywhere on its way, within a character too`,
      );
      expect(
        echoed(answer) === text,
        `${JSON.stringify(text.slice(0, 20))} came back as ${JSON.stringify(echoed(answer)?.slice(0, 20))}: messages are UTF-8, and are joined before they are decoded.`,
      );
    }
  },

  async 'answers many requests at once, each once'({ connect }) {
    const connection = await connect();
    const before = connection.received.length;
    const texts = Array.from({ length: 20 }, (_, n) => `call ${n}`);
    const answers = await within(
      Promise.all(texts.map((text) => echo(connection, text))),
      'Of twenty requests at once some were not answered: they need not wait for each other',
    );
    texts.forEach((text, n) =>
      expect(
        echoed(answers[n]) === text,
        `"${text}" was answered with "${echoed(answers[n])}": answers belong to requests by their id.`,
      ),
    );
    await new Promise((done) => setTimeout(done, 50));
    const count = connection.received.length - before;
    expect(count === 20, `Twenty requests brought ${count} messages to \`onmessage\`: each message comes once.`);
  },

  async 'opens a transport of its own at each call'({ connect }) {
    const [one, two] = [await connect(), await connect()];
    expect(one.transport !== two.transport, '`open` answered one transport twice: each call opens a new one.');
    await within(one.transport.close(), '`close` did not end');
    expect(two.closed() === 0, 'The end of one transport called `onclose` of another.');
    await within(
      echo(two, 'still here'),
      'A transport stopped when another one was closed: they share nothing but the exchange',
    );
  },

  async 'ends once, and carries nothing afterwards'({ connect, server }) {
    const connection = await connect();
    await within(echo(connection, 'before'), 'A call was not answered');
    await within(connection.transport.close(), '`close` did not end');
    await within(connection.transport.close(), 'A second `close` did not end: it has nothing to do');
    await new Promise((done) => setTimeout(done, 50));
    expect(
      connection.closed() === 1,
      `\`onclose\` was called ${connection.closed()} times by two calls of \`close\`: it is called once.`,
    );
    const posts = server.requests.filter(({ method }) => method === 'POST').length;
    const failure = await within(
      failureOf(connection.send({ jsonrpc: '2.0', id: 'late', method: 'ping' })),
      '`send` after `close` did not end',
    );
    expect(
      failure !== undefined,
      '`send` after `close` resolved: reject, so that the caller does not wait for an answer.',
    );
    expect(
      server.requests.filter(({ method }) => method === 'POST').length === posts,
      '`send` after `close` reached the server.',
    );
  },
};

/** What a transport has to show whose server is reached by HTTP. */
export const OVER_HTTP: Readonly<Record<string, TransportBehaviour>> = {
  async 'has every request authorized anew'({ connect, server, tickets }) {
    const connection = await connect();
    await within(Promise.all([echo(connection, 'one'), echo(connection, 'two')]), 'Two calls were not answered');
    await within(connection.transport.close(), '`close` did not end');
    const shown = server.requests.map(({ headers }) => headers['authorization'] ?? '');
    server.requests.forEach(({ method, url }, n) =>
      expect(
        tickets.has(shown[n]!),
        `${method} ${url.pathname} came without the credential: send every request by services.fetch or services.exchange.`,
      ),
    );
    const twice = shown.find((ticket, n) => shown.indexOf(ticket) !== n);
    expect(
      twice === undefined,
      "Two requests carried one attempt's credential: send each by services.fetch or services.exchange, and keep no headers.",
    );
  },

  async 'tells that the server refuses the credential'({ open, server }) {
    server.answer = () => ({ status: 401, headers: { 'www-authenticate': 'Bearer error="invalid_token"' } });
    const failure = await within(
      failureOf(open().then(initialized)),
      'A 401 that stays was told to nobody: reject `start` or `send` with what services.fetch rejected with',
    );
    const known = findCountersignError(failure);
    expect(
      known?.code === 'UNAUTHORIZED',
      `A 401 that stays was told as ${told(failure) || 'success'}: pass on the error of services.fetch, or keep it as the \`cause\`.`,
    );
  },

  async 'tells that the server is not there'({ open, server }) {
    await server.close();
    const failure = await within(
      failureOf(open().then(initialized)),
      'A server that is not there was told to nobody: reject `start` or `send`',
    );
    const known = findCountersignError(failure);
    expect(
      known?.code === 'UNREACHABLE',
      `A server that is not there was told as ${told(failure) || 'success'}: pass on the error of services.fetch, or keep it as the \`cause\`.`,
    );
  },

  async 'ends a request that the server fails'({ connect, server }) {
    const connection = await connect();
    server.answer = ({ method }) => (method === 'POST' ? { status: 500, body: 'no' } : undefined);
    const outcome = await within(
      connection.ask('ping').catch((error: unknown) => error),
      'A request that was answered 500 did not end: reject `send`, or hand an error of its id to `onmessage`',
    );
    expect(
      outcome instanceof Error || (outcome as Message).error !== undefined,
      `A request that was answered 500 ended with ${JSON.stringify(outcome)}.`,
    );
    server.answer = undefined;
    await within(echo(connection, 'again'), 'After one failed request the transport carries no other');
  },
};

async function initialized(connection: Connection): Promise<void> {
  const answer = await connection.ask('initialize', {
    protocolVersion: '2025-11-25',
    capabilities: {},
    clientInfo: { name: 'countersign-testing', version: '0' },
  });
  if (answer.error) throw new Error(JSON.stringify(answer.error));
}

const echo = (connection: Connection, text: string): Promise<Message> =>
  connection.ask('tools/call', { name: 'echo', arguments: { text } });

function echoed(answer: Message | undefined): string | undefined {
  const { content } = (answer?.result ?? {}) as { content?: { text: string }[] };
  return content?.[0] && (JSON.parse(content[0].text) as { text: string }).text;
}
