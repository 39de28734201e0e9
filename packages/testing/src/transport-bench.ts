import { createCountersign, defineAuthProvider, type Plugin, type Transport } from '@countersign/core';
import { randomUUID } from 'node:crypto';
import * as z from 'zod/mini';
import { expect, within } from './expectations.js';
import { initialize, request, type Message } from './mcp-messages.js';
import { recordMcpServer, type RecordingServer } from './recording-server.js';

/** An open transport, with what came through it. */
export interface Connection {
  readonly transport: Transport;
  readonly received: readonly Message[];
  /** How often `onclose` was called. */
  readonly closed: () => number;
  readonly send: (message: Message) => Promise<void>;
  /** Sends a request and resolves to its answer; rejects when it can't be sent. */
  readonly ask: (method: string, params?: Record<string, unknown>) => Promise<Message>;
}

/** What a behaviour works with. */
export interface TransportBench {
  readonly server: RecordingServer;
  /** Credentials that were handed out, each for one attempt. */
  readonly tickets: ReadonlySet<string>;
  /** Opens and starts a transport, without `initialize`. */
  readonly open: () => Promise<Connection>;
  /** The same, initialized. */
  readonly connect: () => Promise<Connection>;
}

export type TransportBehaviour = (bench: TransportBench) => Promise<void>;

/** Runs a behaviour with a server and an instance of its own, and closes all that it opened. */
export async function withTransports(
  plugin: Plugin,
  entry: (server: RecordingServer) => Readonly<Record<string, unknown>>,
  local: boolean,
  behaviour: TransportBehaviour,
): Promise<void> {
  const tickets = new Set<string>();
  const server = await recordMcpServer({ accepts: ({ headers }) => tickets.has(headers['authorization'] ?? '') });
  const ticket = defineAuthProvider('@countersign/testing', {
    type: 'ticket-of-the-kit',
    options: z.strictObject({}),
    create: () => ({
      authorize({ headers }) {
        const value = `Ticket ${randomUUID()}`;
        tickets.add(value);
        headers.set('authorization', value);
      },
    }),
  });
  const app = await createCountersign({
    plugins: [plugin, ticket],
    servers: {
      subject: { ...entry(server), timeout: 10, ...(local ? {} : { auth: { method: 'ticket-of-the-kit' } }) },
    },
    env: {},
  });
  const open = async (): Promise<Connection> => {
    const transport = await within(app.transport('subject'), '`open` did not end');
    const connection = follow(transport);
    await within(transport.start(), '`start` did not end');
    return connection;
  };
  const opened: Connection[] = [];
  const remember = async (connection: Promise<Connection>): Promise<Connection> => {
    opened.push(await connection);
    return connection;
  };
  try {
    await behaviour({
      server,
      tickets,
      open: () => remember(open()),
      async connect() {
        const connection = await remember(open());
        const answer = await within(connection.ask('initialize', initialize().params), 'initialize was not answered');
        expect(answer.result !== undefined, `initialize was answered with ${JSON.stringify(answer.error)}.`);
        await within(
          connection.send({ jsonrpc: '2.0', method: 'notifications/initialized' }),
          'A notification was not sent: resolve `send` when it is, without an answer',
        );
        return connection;
      },
    });
  } finally {
    await Promise.all(
      opened.map(({ transport }) => within(transport.close(), '`close` did not end').catch(() => undefined)),
    ); // Has a test of its own.
    await app.close();
    await server.close();
  }
}

function follow(transport: Transport): Connection {
  const received: Message[] = [];
  const waiting = new Map<unknown, (answer: Message) => void>();
  let closed = 0;
  transport.onmessage = (message: Message) => {
    received.push(message);
    if (message.method === undefined) waiting.get(message.id)?.(message);
  };
  transport.onclose = () => void closed++;
  transport.onerror = () => undefined;
  const send = async (message: Message): Promise<void> => transport.send(message as never);
  return {
    transport,
    received,
    closed: () => closed,
    send,
    async ask(method, params) {
      const message = request(method, params);
      const answer = new Promise<Message>((resolve) => waiting.set(message.id, resolve));
      const sent = send(message).then(() => answer);
      return Promise.race([sent, answer]);
    },
  };
}
