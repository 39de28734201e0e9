import { defineTransportProvider, type TransportProvider, type TransportServices } from '@countersign/core';
import { options, type StdioOptions } from './options.js';
import { StdioTransport } from './stdio.js';

export { options, StdioTransport, type StdioOptions };

/** Opens transports to a server that runs as a child process; each has a process of its own, started by `start`. */
export function stdio(options: StdioOptions, services: TransportServices): TransportProvider {
  return { open: async () => new StdioTransport(options, services) };
}

export default defineTransportProvider('@countersign/transport-stdio', { type: 'stdio', options, create: stdio });
