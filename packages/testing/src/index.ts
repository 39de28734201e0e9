export { testAuthProvider } from './auth-provider.js';
export type { AuthProviderScenario, AuthProviderSubject } from './provider-bench.js';
export { testTransportProvider, type TransportProviderSubject } from './transport-provider.js';
export { testSecretStore, type SecretStoreSubject } from './secret-store.js';
export {
  recordMcpServer,
  type Answer,
  type ReceivedRequest,
  type RecordingServer,
  type RecordingServerOptions,
} from './recording-server.js';
export { stdioServer } from './mcp-messages.js';
export { manualClock, type ManualClock } from './manual-clock.js';
export type { TestFunction } from './expectations.js';
