import {
  CountersignError,
  findCountersignError,
  type JsonRpcMessage,
  type Transport,
  type TransportProvider,
  type TransportServices,
} from '@countersign/core';
import type { SendOptions, StreamableHttpTransport } from './streamable-http.js';

/**
 * Streamable HTTP first; SSE when the server answers `initialize` with a 4xx other than 401 and 403 (2025-11-25, Transports, Backwards Compatibility).
 * When SSE fails as well, its error has the first answer as its cause and in its message.
 */
export class FallbackTransport implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: (message: JsonRpcMessage) => void;
  sessionId?: string;
  readonly #sse: TransportProvider;
  readonly #services: TransportServices;
  #current: Transport;

  constructor(first: StreamableHttpTransport, sse: TransportProvider, services: TransportServices) {
    this.#sse = sse;
    this.#services = services;
    this.#current = this.#adopt(first);
  }

  setProtocolVersion(version: string): void {
    this.#current.setProtocolVersion?.(version);
  }

  start(): Promise<void> {
    return this.#current.start();
  }

  async send(message: JsonRpcMessage, options?: SendOptions): Promise<void> {
    try {
      await this.#current.send(message as never, options as never);
    } catch (error) {
      if (message.method !== 'initialize' || !permitsFallback(error)) throw error;
      await this.#fallBack(message, error);
    }
    if (this.#current.sessionId !== undefined) this.sessionId = this.#current.sessionId;
  }

  close(): Promise<void> {
    return this.#current.close();
  }

  async #fallBack(message: JsonRpcMessage, first: CountersignError): Promise<void> {
    const { name } = this.#services.server;
    this.#services.log.debug(`${first.message} Trying SSE.`);
    try {
      const transport = await this.#sse.open();
      this.#current = this.#adopt(transport);
      await transport.start();
      await transport.send(message as never);
    } catch (second) {
      const { code = 'SERVER_ERROR', status } = findCountersignError(second) ?? {};
      const reason = second instanceof Error ? second.message : String(second);
      throw new CountersignError(code, `${first.message} SSE failed as well: ${reason}`, {
        cause: first,
        server: name,
        ...(status === undefined ? {} : { status }),
      });
    }
  }

  #adopt(transport: Transport): Transport {
    transport.onmessage = (message: JsonRpcMessage) => this.onmessage?.(message);
    transport.onerror = (error) => this.onerror?.(error);
    transport.onclose = () => {
      if (transport === this.#current) this.onclose?.();
    };
    return transport;
  }
}

function permitsFallback(error: unknown): error is CountersignError {
  const status = findCountersignError(error)?.status ?? 0;
  return status >= 400 && status < 500 && ![401, 403, 429].includes(status);
}
