import type { DependencyContainer, InjectionToken } from 'tsyringe';
import type { AuthProviderDefinition } from './auth-provider.js';
import { CountersignError } from './errors.js';
import { tokens } from './plugin.js';
import { nearest } from './suggestion.js';
import type { TransportProviderDefinition } from './transport-provider.js';
import type { VariableSource } from './variable-source.js';

/** What the plugins registered, read once: tsyringe throws for an empty list and hides duplicates. */
export interface Registry {
  readonly authProviders: readonly AuthProviderDefinition[];
  readonly transportProviders: readonly TransportProviderDefinition[];
  readonly variableSources: readonly VariableSource[];
  /** Throws UNKNOWN_AUTH_METHOD, with the package to install. */
  authProvider(method: string): AuthProviderDefinition;
  /** Throws UNKNOWN_TRANSPORT. */
  transportProvider(type: string): TransportProviderDefinition;
}

/** Throws DUPLICATE_AUTH_METHOD when two plugins register one type. */
export function createRegistry(container: DependencyContainer): Registry {
  const authProviders = list(container, tokens.authProvider);
  const transportProviders = list(container, tokens.transportProvider);
  for (const definition of [...authProviders, ...transportProviders]) refuseIncomplete(definition);
  for (const [what, types] of [
    ['auth method', authProviders.map(({ type }) => type)],
    ['transport', transportProviders.map(({ type }) => type)],
  ] as const) {
    const twice = types.find((type, index) => types.indexOf(type) !== index);
    if (twice !== undefined)
      throw new CountersignError('DUPLICATE_AUTH_METHOD', `Two plugins register the ${what} "${twice}".`);
  }
  return {
    authProviders,
    transportProviders,
    variableSources: list(container, tokens.variableSource),
    authProvider: (method) =>
      authProviders.find(({ type }) => type === method) ??
      unknown('UNKNOWN_AUTH_METHOD', 'auth method', method, authProviders, OWN_METHODS, 'auth'),
    transportProvider: (type) =>
      transportProviders.find((definition) => definition.type === type) ??
      unknown('UNKNOWN_TRANSPORT', 'transport', type, transportProviders, OWN_TRANSPORTS, 'transport'),
  };
}

/** A plugin in plain JavaScript has no compiler that tells it what is missing. */
function refuseIncomplete(definition: AuthProviderDefinition | TransportProviderDefinition): void {
  const { type, options, create } = definition as Partial<AuthProviderDefinition>;
  const problem =
    typeof type !== 'string' || type === ''
      ? 'no type'
      : typeof create !== 'function'
        ? 'no create function'
        : options?._zod === undefined
          ? 'no options schema (zod or zod/mini; z.strictObject({}) for none)'
          : undefined;
  if (problem) {
    const name = typeof type === 'string' && type ? `The provider ${JSON.stringify(type)}` : 'A provider';
    throw new CountersignError('PLUGIN_FAILED', `${name} of a plugin has ${problem}.`);
  }
}

const OWN_METHODS = ['bearer', 'headers', 'oauth', 'aws-sigv4', 'gcp', 'github', 'hmac', 'command'];
const OWN_TRANSPORTS = ['streamable-http', 'sse', 'stdio'];

function list<T>(container: DependencyContainer, token: InjectionToken<T>): T[] {
  return container.isRegistered(token, true) ? container.resolveAll(token) : [];
}

function unknown(
  code: 'UNKNOWN_AUTH_METHOD' | 'UNKNOWN_TRANSPORT',
  what: string,
  name: string,
  installed: readonly { type: string }[],
  own: readonly string[],
  kind: string,
): never {
  const types = installed.map(({ type }) => type);
  const near = nearest(name, [...types, ...own]);
  const hint = near && near !== name ? ` Did you mean "${near}"?` : '';
  const known = types.length > 0 ? ` (installed: ${types.join(', ')})` : '';
  const pkg = own.includes(name)
    ? `@countersign/${kind}-${name}`
    : `countersign-${kind}-${/^[\w-]{1,60}$/.test(name) ? name : 'NAME'}`;
  throw new CountersignError(
    code,
    `No installed plugin has the ${what} ${JSON.stringify(name.slice(0, 60))}${known}.${hint}`,
    {
      // No package is advised by the name of what may be a slip of the pen.
      remedy: hint
        ? `Write "${near}".`
        : `npm i ${pkg}, and pass it in \`plugins\`, or list it under "countersign": { "plugins": ["${pkg}"] }.`,
    },
  );
}
