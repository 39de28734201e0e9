import { describe, expect, test } from '@jest/globals';
import { defineTransportProvider, type Transport, type TransportServices } from '@countersign/core';
import * as z from 'zod/mini';
import { testTransportProvider } from '../src/index.js';
import { failuresOf } from './collect-tests.js';

type Message = { id?: unknown; method?: string };

/** The least that carries MCP by streamable HTTP: a POST for each message, its answer whole. */
class PlainTransport implements Transport {
  onmessage?: (message: Message) => void;
  onclose?: () => void;
  protected closed = false;
  constructor(protected readonly services: TransportServices) {}

  async start(): Promise<void> {}

  async send(message: Message): Promise<void> {
    if (this.closed) throw new Error('closed');
    const response = await this.post(message);
    if (response.status === 202) return;
    if (!response.ok) throw new Error(`The server answered ${response.status}.`);
    const text = await this.text(response);
    this.deliver(JSON.parse(/(?:^|\n)data: ([^\n]*)/.exec(text)?.[1] ?? text) as Message);
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.onclose?.();
  }

  protected fetch(): typeof globalThis.fetch {
    return this.services.fetch;
  }

  protected post(message: Message): Promise<Response> {
    const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
    return this.fetch()(this.services.server.url!, { method: 'POST', headers, body: JSON.stringify(message) });
  }

  protected text(response: Response): Promise<string> {
    return response.text();
  }

  protected deliver(message: Message): void {
    this.onmessage?.(message);
  }
}

function subject(
  Kind: new (services: TransportServices) => Transport,
  open = (services: TransportServices): Transport => new Kind(services),
) {
  return {
    plugin: defineTransportProvider('countersign-transport-plain', {
      type: 'plain',
      options: z.strictObject({ url: z.string() }),
      create: (_options, services) => ({ open: async () => open(services) }),
    }),
    entry: ({ url }: { url: URL }) => ({ transport_type: 'plain', url: url.href }),
  };
}

describe('a transport that keeps the contract', () => testTransportProvider(test, subject(PlainTransport)));

class Deaf extends PlainTransport {
  override async send(): Promise<void> {}
}
class Latin extends PlainTransport {
  protected override async text(response: Response): Promise<string> {
    return Buffer.from(await response.arrayBuffer()).toString('latin1');
  }
}
class Twofold extends PlainTransport {
  protected override deliver(message: Message): void {
    super.deliver(message);
    super.deliver(message);
  }
}
class OneAtATime extends PlainTransport {
  #last: unknown;
  override async send(message: Message): Promise<void> {
    this.#last = message.id;
    await super.send(message);
  }
  protected override deliver(message: Message): void {
    super.deliver({ ...message, id: this.#last });
  }
}
class ClosesTwice extends PlainTransport {
  override async close(): Promise<void> {
    this.closed = true;
    this.onclose?.();
  }
}
class SendsAfterClose extends PlainTransport {
  override async send(message: Message): Promise<void> {
    this.closed = false;
    await super.send(message);
  }
}
class OwnFetch extends PlainTransport {
  #headers: Record<string, string> | undefined;
  protected override fetch(): typeof globalThis.fetch {
    return async (url, init) => {
      if (!this.#headers) return this.services.fetch(url, init).finally(() => (this.#headers = {}));
      return fetch(url, init);
    };
  }
}
class Swallows extends PlainTransport {
  override async send(message: Message): Promise<void> {
    await super.send(message).catch(() => undefined);
  }
}
class Renames extends PlainTransport {
  protected override post(message: Message): Promise<Response> {
    return super.post(message).catch(() => Promise.reject(new Error('Connection failed')));
  }
}

const broken: [what: string, kit: Parameters<typeof testTransportProvider>[1], test: string, message: RegExp][] = [
  [
    'never hands a message on',
    subject(Deaf),
    'carries a request to the server and its answer back',
    /initialize was not answered/,
  ],
  ['decodes as Latin-1', subject(Latin), 'carries any text', /messages are UTF-8/],
  ['hands each message on twice', subject(Twofold), 'answers many requests at once, each once', /brought 40 messages/],
  [
    'knows one request at a time',
    subject(OneAtATime),
    'answers many requests at once, each once',
    /were not answered|by their id/,
  ],
  [
    'opens one transport for all',
    (() => {
      let shared: Transport | undefined;
      return subject(PlainTransport, (services) => (shared ??= new PlainTransport(services)));
    })(),
    'opens a transport of its own at each call',
    /each call opens a new one/,
  ],
  ['calls onclose at each close', subject(ClosesTwice), 'ends once, and carries nothing afterwards', /called 2 times/],
  [
    'sends after it was closed',
    subject(SendsAfterClose),
    'ends once, and carries nothing afterwards',
    /`send` after `close` resolved/,
  ],
  [
    'sends by a fetch of its own',
    subject(OwnFetch),
    'has every request authorized anew',
    /services\.fetch|answered 401|not answered/,
  ],
  ['keeps errors to itself', subject(Swallows), 'tells that the server refuses the credential', /was told to nobody/],
  [
    'gives a refusal another name',
    subject(Renames),
    'tells that the server refuses the credential',
    /keep it as the `cause`/,
  ],
  ['gives an absence another name', subject(Renames), 'tells that the server is not there', /keep it as the `cause`/],
  [
    'leaves a failed request waiting',
    subject(Swallows),
    'ends a request that the server fails',
    /answered 500 did not end/,
  ],
];

describe('tells the author what to mend of a transport that', () => {
  test.each(broken)(
    '%s',
    async (_what, kit, name, message) => {
      const failures = await failuresOf((register) =>
        testTransportProvider((title, body) => title === name && register(title, body), kit),
      );
      expect(failures[name]).toMatch(message);
    },
    20_000,
  );
});
