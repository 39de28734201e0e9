import { defineTransportProvider, type TransportProvider, type TransportServices } from '@countersign/core';
import { options, type SseOptions } from './options.js';
import { SseTransport } from './sse.js';

export { options, SseTransport, type SseOptions };

/** Opens HTTP+SSE transports (2024-11-05) to one server; each has a stream of its own, opened by `start`. */
export function sse(options: SseOptions, services: TransportServices): TransportProvider {
  return { open: async () => new SseTransport(options, services) };
}

export default defineTransportProvider('@countersign/transport-sse', { type: 'sse', options, create: sse });
