export {
  CountersignError,
  ERROR_CODES,
  findCountersignError,
  isCountersignError,
  type CountersignErrorOptions,
  type ErrorCode,
} from './errors.js';
export { HeaderFields } from './header-fields.js';
export { systemClock, type Clock } from './clock.js';
export { silentLog, type Log } from './log.js';
export { excerpt, visibleJson, visibleText } from './visible-text.js';
export { parseChallenges, type Challenge } from './challenges.js';
export { Template, type BoundTemplate, type Reference } from './template.js';
export type {
  Attempt,
  AuthProvider,
  AuthProviderDefinition,
  AuthServices,
  ChallengeContext,
  CredentialStatus,
  CredentialUsage,
  Interaction,
  IssuedTokens,
  LoginEvent,
  OutgoingRequest,
  ProviderStatus,
  RefusalMeaning,
  ResponseHead,
  TlsOptions,
} from './auth-provider.js';
export type {
  JsonRpcMessage,
  Transport,
  TransportProvider,
  TransportProviderDefinition,
  TransportServices,
} from './transport-provider.js';
export { renewing, type Expiring, type Renewing } from './renewing.js';
export { abortable } from './abortable.js';
export { ENDPOINT_DEADLINE, endpointFetch, type EndpointFetch } from './endpoint-fetch.js';
export type { VariableSource } from './variable-source.js';
export { hashKey, scopeStore, type SecretStore, type TokenStore } from './secret-store.js';
export { memoryStore } from './memory-store.js';
export { fileStore, type FileStoreOptions } from './file-store.js';
export { storeDirectory } from './store-directory.js';
export type { StoreFileSystem } from './store-files.js';
export {
  defineAuthProvider,
  defineSecretStore,
  defineTransportProvider,
  defineVariableSource,
  tokens,
  type Plugin,
} from './plugin.js';
export type { Exchange, ExchangeRequest, ExchangeResponse } from './exchange.js';
export type { GuardedFetch } from './guarded-fetch.js';
export type { Sender, SenderFactory, SenderOptions, SenderRequest, SenderResponse } from './sender.js';
export type {
  CheckReport,
  Countersign,
  CountersignOptions,
  Finding,
  InstalledProviders,
  PreviewedHeader,
  RequestPreview,
  ServerSummary,
} from './countersign.js';
export { readEvents, type EventStreamOptions, type ServerSentEvent } from './event-stream.js';
export { Handshake } from './handshake.js';
export { PendingRequests, type PendingRequest, type PendingRequestsOptions } from './pending-requests.js';
export { readText, refusedResponse } from './response-body.js';
export { createCountersign } from './create-countersign.js';
export { discard } from './renewal.js';
export { configurationSchema } from './configuration-json-schema.js';
export { loadPlugins } from './load-plugins.js';
export { createContainer } from './container.js';
export { authorizedFetch } from './authorized-fetch.js';
export { nodeSender } from './node-sender.js';
export { isSensitiveName } from './redactor.js';
export { isLoopback } from './origin.js';
export { isPassing, lastEventIdField, reconnectDelay } from './reconnecting.js';
