import {
  CountersignError,
  discard,
  isCountersignError,
  lastEventIdField,
  refusedResponse,
  type ExchangeRequest,
  type ExchangeResponse,
  type JsonRpcMessage,
  type TransportServices,
} from '@countersign/core';

/** A session with the server: what its requests have in common, from `initialize` on. A response that is not a success is thrown, with its status. */
export class Session {
  /** The server's name for the session; undefined where it keeps none. */
  id: string | undefined;
  /** The protocol version that was negotiated. */
  version: string | undefined;
  /** The session that takes this one's place is under way, or there, or could not be had. */
  renewal: Promise<void> | undefined;
  /** Ends the stream of its own that the session has. */
  readonly closed = new AbortController();
  readonly #url: URL;
  readonly #services: TransportServices;

  constructor(url: URL, services: TransportServices) {
    this.#url = url;
    this.#services = services;
  }

  /** Sends a message. The response to `initialize` names the session. */
  async post(message: JsonRpcMessage, signal: AbortSignal): Promise<ExchangeResponse> {
    const what = typeof message.method === 'string' ? message.method : 'an answer';
    const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
    const response = await this.#request(what, { method: 'POST', body: JSON.stringify(message) }, headers, signal);
    if (what === 'initialize') this.id = response.headers.get('mcp-session-id');
    return response;
  }

  /** Opens a stream of events: the session's own, or one that goes on after an event. */
  async stream(signal: AbortSignal, lastEventId?: string): Promise<ExchangeResponse> {
    const headers = { accept: 'text/event-stream', ...lastEventIdField(lastEventId) };
    const response = await this.#request('GET', { method: 'GET' }, headers, signal);
    if (mediaType(response) === 'text/event-stream') return response;
    discard(response.body);
    const { name } = this.#services.server;
    throw new CountersignError('SERVER_ERROR', `Server ${name} answered GET without a stream of events.`, {
      server: name,
    });
  }

  /** Tells the server that the session is over. */
  async end(signal: AbortSignal): Promise<void> {
    if (this.id === undefined) return;
    const response = await this.#request('DELETE', { method: 'DELETE' }, {}, signal);
    discard(response.body);
  }

  /** True for the error that says that the server knows the session no more: 404, or the 400 of servers made after the SDK's examples. */
  isLost(error: unknown): boolean {
    if (this.id === undefined || !isCountersignError(error, 'SERVER_ERROR')) return false;
    return error.status === 404 || (error.status === 400 && /no valid session id/i.test(error.message));
  }

  copy(): Session {
    return Object.assign(new Session(this.#url, this.#services), { id: this.id, version: this.version });
  }

  async #request(
    what: string,
    request: Pick<ExchangeRequest, 'method' | 'body'>,
    headers: Record<string, string>,
    signal: AbortSignal,
  ): Promise<ExchangeResponse> {
    if (this.id !== undefined) headers['mcp-session-id'] = this.id;
    if (this.version !== undefined) headers['mcp-protocol-version'] = this.version;
    const response = await this.#services.exchange(
      { ...request, url: this.#url, headers: Object.entries(headers) },
      signal,
    );
    if (response.status >= 200 && response.status < 300) return response;
    throw await refusedResponse(response, what, this.#services);
  }
}

/** The response's media type, in lower case and without parameters. */
export function mediaType(response: ExchangeResponse): string {
  return response.headers.get('content-type')?.split(';')[0]!.trim().toLowerCase() ?? '';
}
