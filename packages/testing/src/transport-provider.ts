import type { Plugin } from '@countersign/core';
import type { TestFunction } from './expectations.js';
import type { RecordingServer } from './recording-server.js';
import { withTransports, type TransportBehaviour } from './transport-bench.js';
import { ANYWHERE, OVER_HTTP } from './transport-behaviours.js';

/** A transport under test. */
export interface TransportProviderSubject {
  /** The package's default export. */
  readonly plugin: Plugin;
  /** The server's entry in a configuration, without `auth`: `(server) => ({ transport_type: 'x', url: server.url.href })`, or `stdioServer` for a child process. */
  readonly entry: (server: RecordingServer) => Readonly<Record<string, unknown>>;
  /** True for a transport to a child process, which carries no credential on requests. */
  readonly local?: boolean;
}

const TIMEOUT = 15_000; // milliseconds for a test

/**
 * Tests that a transport carries messages as an MCP client expects it, and credentials as core does: through the instance's exchange, over real sockets or pipes.
 * Registers one test a behaviour with the caller's `test` (node:test, Jest, Vitest); a failing one says what to mend.
 */
export function testTransportProvider(
  test: TestFunction,
  { plugin, entry, local = false }: TransportProviderSubject,
): void {
  const behaviours: Readonly<Record<string, TransportBehaviour>> = { ...ANYWHERE, ...(local ? {} : OVER_HTTP) };
  for (const [name, behaviour] of Object.entries(behaviours))
    test(name, () => withTransports(plugin, entry, local, behaviour), TIMEOUT);
}
