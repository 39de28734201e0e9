import { defineTransportProvider, type TransportProvider, type TransportServices } from '@countersign/core';
import { FallbackTransport } from './fallback.js';
import { options, type StreamableHttpOptions } from './options.js';
import { StreamableHttpTransport } from './streamable-http.js';

export { options, StreamableHttpTransport, type StreamableHttpOptions };

/** Opens streamable HTTP transports to one server, with the fallback to SSE where the configuration doesn't name the transport. */
export function streamableHttp(options: StreamableHttpOptions, services: TransportServices): TransportProvider {
  return {
    async open() {
      const transport = new StreamableHttpTransport(options, services);
      const sse = services.explicit ? undefined : services.transport?.('sse');
      return sse ? new FallbackTransport(transport, sse, services) : transport;
    },
  };
}

export default defineTransportProvider('@countersign/transport-streamable-http', {
  type: 'streamable-http',
  options,
  create: streamableHttp,
});
