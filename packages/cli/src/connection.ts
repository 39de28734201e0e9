import { CountersignError, type Countersign } from '@countersign/core';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { ResultSchema, type Progress, type ServerCapabilities } from '@modelcontextprotocol/sdk/types.js';
import type { Notification } from './shell/notifications.js';
import { version } from './version.js';

/** A server that has been connected to. */
export interface Connection {
  readonly name: string;
  /** The protocol version that both agreed on. */
  readonly protocol: string;
  readonly serverInfo: Readonly<Record<string, unknown>> | undefined;
  readonly capabilities: ServerCapabilities;
  readonly instructions: string | undefined;
  /** From the start to the answer to `initialize`, a renewal of the credential included. */
  readonly latencyMs: number;
  readonly client: Client;
  /** True as long as neither side has closed it. */
  readonly open: boolean;
  /** One request, and its result as the server gave it. Ends with the server's `timeout`, counted anew with each progress. */
  request<T>(method: string, params?: Record<string, unknown>, options?: RequestOptions): Promise<T>;
  close(): Promise<void>;
}

export interface RequestOptions {
  readonly signal?: AbortSignal;
  readonly onprogress?: (progress: Progress) => void;
}

export interface ConnectOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds for each request. */
  readonly timeout: number;
  readonly notified?: ((notification: Notification) => void) | undefined;
}

/** Opens the server's transport, and initialises the session. Throws what the transport or the exchange throws, or TIMEOUT. */
export async function connect(
  app: Countersign,
  name: string,
  { signal, timeout, notified }: ConnectOptions,
): Promise<Connection> {
  const started = performance.now();
  const transport = (await app.transport(name, signal)) as unknown as Transport;
  let protocol = '';
  const forward = transport.setProtocolVersion?.bind(transport);
  transport.setProtocolVersion = (negotiated) => {
    protocol = negotiated;
    forward?.(negotiated);
  };
  const client = new Client({ name: 'countersign', version }, { capabilities: {}, jsonSchemaValidator: noValidator });
  if (notified) client.fallbackNotificationHandler = async (notification) => notified(notification);
  let open = true;
  client.onclose = () => (open = false);
  const options = { timeout: Math.min(timeout + GRACE, LONGEST), ...(signal ? { signal } : {}) };
  try {
    await deadline(
      client.connect(transport, options),
      timeout,
      `Server ${name} did not answer within ${timeout / 1000} s.`,
    );
  } catch (error) {
    // The close of a transport that never opened may fail or hang too; the first error is the one to tell.
    void client.close().catch(() => undefined);
    void transport.close().catch(() => undefined);
    throw error;
  }
  return {
    name,
    protocol,
    serverInfo: client.getServerVersion(),
    capabilities: client.getServerCapabilities() ?? {},
    instructions: client.getInstructions(),
    latencyMs: Math.round(performance.now() - started),
    client,
    get open() {
      return open;
    },
    request: async <T>(method: string, params: Record<string, unknown> = {}, request: RequestOptions = {}) =>
      (await client.request({ method, params }, ResultSchema, {
        ...options,
        ...request,
        resetTimeoutOnProgress: true,
      })) as T,
    close: () => client.close(),
  };
}

const LONGEST = 2 ** 31 - 1; // Node's timers wrap to 1 ms above it.
const GRACE = 250; // milliseconds: the transport ends a request in time, and knows more of the reason

// The result is shown and not processed: validating it against the tool's schema would only hide it.
const noValidator = {
  getValidator: () => (input: unknown) => ({ valid: true as const, data: input as never, errorMessage: undefined }),
};

async function deadline<T>(work: Promise<T>, ms: number, message: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new CountersignError('TIMEOUT', message)), Math.min(ms + 2 * GRACE, LONGEST));
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
