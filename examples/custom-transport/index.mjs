import { CountersignError, defineTransportProvider } from '@countersign/core';
import * as z from 'zod/mini';

/** `transport_type: "http_post"`: each message is a POST, and its answer is the response, whole. For servers that keep no session and never stream. */
class PostTransport {
  #services;
  #end = new AbortController();

  constructor(services) {
    this.#services = services;
  }

  async start() {}

  async send(message) {
    this.#end.signal.throwIfAborted();
    const { fetch, server } = this.#services;
    // services.fetch authorizes every request anew, and throws what a person can act on: it passes through.
    const response = await fetch(server.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify(message),
      signal: this.#end.signal,
    });
    const text = await response.text();
    if (!response.ok)
      throw new CountersignError('SERVER_ERROR', `Server ${server.name} answered ${response.status}.`, {
        status: response.status,
      });
    if (text && message.id !== undefined) this.onmessage?.(JSON.parse(text));
  }

  async close() {
    if (this.#end.signal.aborted) return;
    this.#end.abort(new CountersignError('ABORTED', 'The transport is closed.'));
    this.onclose?.();
  }
}

export default defineTransportProvider('countersign-transport-http-post', {
  type: 'http-post',
  options: z.strictObject({ url: z.url() }),
  create: (_options, services) => ({ open: async () => new PostTransport(services) }),
});
