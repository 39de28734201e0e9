import type { DependencyContainer, InjectionToken } from 'tsyringe';
import type { AuthProviderDefinition, Interaction } from './auth-provider.js';
import type { Clock } from './clock.js';
import type { Log } from './log.js';
import type { SecretStore } from './secret-store.js';
import type { SenderFactory } from './sender.js';
import type { TransportProviderDefinition } from './transport-provider.js';
import type { VariableSource } from './variable-source.js';

/** The default export of a Countersign package. */
export interface Plugin {
  /** The package's name, for errors and `countersign providers`. */
  readonly name: string;
  readonly apiVersion: 1;
  /** Registers values and factories under `tokens`; called once for each container. */
  register(container: DependencyContainer): void;
}

const token = <T>(name: string): InjectionToken<T> => Symbol.for(`countersign.${name}`);

/** What a plugin registers under. The first three are lists; of the others the last registration serves. */
export const tokens = {
  authProvider: token<AuthProviderDefinition>('AuthProvider'),
  transportProvider: token<TransportProviderDefinition>('TransportProvider'),
  variableSource: token<VariableSource>('VariableSource'),
  secretStore: token<SecretStore>('SecretStore'),
  senderFactory: token<SenderFactory>('SenderFactory'),
  clock: token<Clock>('Clock'),
  log: token<Log>('Log'),
  interaction: token<Interaction>('Interaction'),
} as const;

const plugin = (name: string, register: (container: DependencyContainer) => void): Plugin => ({
  name,
  apiVersion: 1,
  register,
});

/** A plugin of one auth provider. `name` is the package's. */
export function defineAuthProvider<Options>(name: string, definition: AuthProviderDefinition<Options>): Plugin {
  return plugin(name, (container) => container.register(tokens.authProvider, { useValue: definition }));
}

/** A plugin of one transport. */
export function defineTransportProvider<Options>(
  name: string,
  definition: TransportProviderDefinition<Options>,
): Plugin {
  return plugin(name, (container) => container.register(tokens.transportProvider, { useValue: definition }));
}

/** A plugin that answers variables: a vault, a build number. */
export function defineVariableSource(name: string, source: VariableSource): Plugin {
  return plugin(name, (container) => container.register(tokens.variableSource, { useValue: source }));
}

/** A plugin that keeps the secrets elsewhere: a keychain, Redis. `create` runs once, when the store is first used. */
export function defineSecretStore(name: string, create: () => SecretStore): Plugin {
  return plugin(name, (container) => {
    let store: SecretStore | undefined;
    container.register(tokens.secretStore, { useFactory: () => (store ??= create()) });
  });
}
