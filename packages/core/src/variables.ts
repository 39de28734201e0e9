import type { OutgoingRequest } from './auth-provider.js';
import type { AuthProvider } from './auth-provider.js';
import { CountersignError } from './errors.js';
import { Template, type BoundTemplate, type Reference } from './template.js';
import type { VariableSource } from './variable-source.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** Who computes a variable for one server. */
export interface ComputedBy {
  readonly provider: Pick<AuthProvider, 'variable'>;
  readonly signature: boolean;
}

export interface VariableScope {
  readonly server: string;
  readonly env: Environment;
  /** The server's configured provider that lists the name. */
  configured(name: string): ComputedBy | undefined;
  /** An installed provider that lists the name; throws AMBIGUOUS_VARIABLE. */
  installed(name: string): ComputedBy | undefined;
  readonly sources: readonly VariableSource[];
  conceal(secret: string): void;
}

type Answer = { readonly value: string | undefined; readonly by: 'provider' | 'environment' | 'nobody' };

/** Binds templates to one server's variables. */
export function bindTemplate(text: string, subject: string, scope: VariableScope): BoundTemplate {
  const template = new Template(text, subject);
  return {
    template,
    async render(where, request, signal) {
      let last: Answer = { value: undefined, by: 'nobody' };
      const rendered = await template.render(async (reference) => {
        last = await answer(reference, where, scope, request, signal);
        return last.value;
      });
      if ('text' in rendered) return rendered.text;
      if (template.bare && last.by === 'provider') return undefined;
      throw unresolved(where, rendered.missing, scope);
    },
  };
}

function unresolved(subject: string, { kind, name }: Reference, { server, env }: VariableScope): CountersignError {
  const prefix = subject.startsWith('Header ') ? `Authentication headers missing: header ${subject.slice(7)}` : subject;
  const state = env[name] === '' ? 'empty' : 'not set';
  const what =
    kind === 'request' ? `the request's ${name}, and there is no request here` : `${name}, which is ${state}`;
  return new CountersignError('UNRESOLVED_VARIABLE', `${prefix} of server ${server} needs ${what}.`, { server });
}

/** The order of ARCHITECTURE.md: the server's providers, the environment and .env, an installed provider, other sources, core. */
async function answer(
  reference: Reference,
  subject: string,
  scope: VariableScope,
  request: OutgoingRequest | undefined,
  signal: AbortSignal | undefined,
): Promise<Answer> {
  const { kind, name } = reference;
  if (kind === 'request') return { value: requestField(name, request), by: 'nobody' };
  const ask = async ({ provider, signature }: ComputedBy): Promise<Answer> => {
    if (signature && !request) {
      throw new CountersignError(
        'INVALID_TEMPLATE',
        `${subject} of server ${scope.server} holds \${${name}}, a signature, and there is no request to sign.`,
        { server: scope.server },
      );
    }
    return { value: checked(await provider.variable?.(name, request, signal), name, scope), by: 'provider' }; // a provider conceals what is secret itself
  };

  const configured = kind === 'variable' ? scope.configured(name) : undefined;
  if (configured) return ask(configured);
  const set = Object.hasOwn(scope.env, name) ? scope.env[name] : undefined;
  if (set) {
    scope.conceal(set);
    return { value: set, by: 'environment' };
  }
  if (kind === 'env') return { value: undefined, by: 'environment' };
  // A name of core's own comes from a provider only where the server configures that: what else may list it is none of this server's business.
  const installed = isCoreVariable(name) ? undefined : scope.installed(name);
  if (installed) return ask(installed);
  const source = scope.sources.find(({ names }) => (names instanceof RegExp ? names.test(name) : names.includes(name)));
  if (source) {
    const value = checked(await source.value(name, request?.attempt, signal), name, scope);
    if (value !== undefined) scope.conceal(value);
    return { value, by: 'provider' };
  }
  return { value: coreVariable(name, request), by: 'nobody' };
}

function checked(value: unknown, name: string, scope: VariableScope): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'string')
    throw new CountersignError(
      'UNRESOLVED_VARIABLE',
      `\${${name}} of server ${scope.server} was computed as ${value === null ? 'null' : `a ${typeof value}`}, not as text.`,
      { server: scope.server, remedy: 'Report it to the author of the plugin that computes it.' },
    );
  return value;
}

/** What core itself computes; a server's configured provider goes before. */
export function isCoreVariable(name: string): boolean {
  return name === 'TIMESTAMP' || name === 'REQUEST_ID';
}

function coreVariable(name: string, request: OutgoingRequest | undefined): string | undefined {
  if (name === 'TIMESTAMP') return (request?.attempt.time ?? new Date()).toISOString();
  if (name === 'REQUEST_ID') return request?.attempt.nonce ?? crypto.randomUUID();
  return undefined;
}

function requestField(name: string, request: OutgoingRequest | undefined): string | undefined {
  if (!request) return undefined;
  switch (name) {
    case 'timestamp':
      return String(Math.floor(request.attempt.time.getTime() / 1000));
    case 'date':
      return request.attempt.time.toUTCString();
    case 'nonce':
      return request.attempt.nonce;
    case 'method':
      return request.method;
    case 'host':
      return request.url.host;
    case 'path':
      return request.url.pathname + request.url.search;
    default:
      return undefined;
  }
}
