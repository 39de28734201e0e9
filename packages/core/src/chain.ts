import type { AuthProvider, AuthProviderDefinition, AuthServices } from './auth-provider.js';
import type { AuthEntry } from './configuration.js';
import { CountersignError } from './errors.js';
import type { ChainMember } from './exchange.js';
import { expandOptions, type Expansion } from './expansion.js';
import { isSensitiveName } from './redactor.js';
import type { Registry } from './registry.js';
import { explain, secretStrings } from './schema.js';
import { Template, type BoundTemplate } from './template.js';
import { bindTemplate, isCoreVariable, type ComputedBy, type VariableScope } from './variables.js';

/** What a chain is made for. */
export interface ChainContext extends Expansion {
  readonly registry: Registry;
  conceal(secret: string): void;
  /** A provider's services, but for those that the chain itself gives. */
  services(method: string): Omit<AuthServices, 'template' | 'implicit'>;
}

/** The providers of one server, in the order in which the exchange runs them, and its templates. */
export interface Chain {
  readonly members: readonly ChainMember[];
  /** True when what it puts on a request is worth protecting. */
  readonly secret: boolean;
  /** Headers of the configuration that are the transport's own and were passed over, in lower case. */
  readonly passedOver: readonly string[];
  bind(text: string, subject: string): BoundTemplate;
}

type Stage = ChainMember['stage'];
const STAGES: readonly Stage[] = ['headers', 'credential', 'signature', 'signed-headers'];

/** The transport sets these: another value would break the protocol or the framing. `accept` is appended to instead. */
const TRANSPORT_HEADER =
  /^(?:content-type|content-length|host|last-event-id|mcp-.*|connection|keep-alive|transfer-encoding|te|trailer|upgrade|expect|proxy-connection)$/;

/** Makes a server's chain from its `auth`. Creates the providers; throws for the first that can't be. */
export function buildChain(entries: readonly AuthEntry[], context: ChainContext): Chain {
  const { registry, server } = context;
  const members: ChainMember[] = [];
  const byType = new Map<string, ChainMember>();
  const passedOver: string[] = [];
  let secret = false;

  const scope: VariableScope = {
    server,
    env: context.env,
    sources: registry.variableSources,
    conceal: (value) => context.conceal(value),
    configured(name) {
      const definition = registry.authProviders.find(
        (candidate) => lists(candidate, name) && byType.get(candidate.type)?.authorizes,
      );
      return definition && computedBy(definition, name, byType.get(definition.type));
    },
    installed(name) {
      const [definition, other] = registry.authProviders.filter((candidate) => lists(candidate, name));
      if (!definition) return undefined;
      if (other)
        throw new CountersignError(
          'AMBIGUOUS_VARIABLE',
          `\${${name}} of server ${server} is computed by ${definition.type} and by ${other.type}.`,
          { server, remedy: `Add "auth": { "method": "${definition.type}" } to the server, or the other one.` },
        );
      return computedBy(definition, name, byType.get(definition.type) ?? add(definition, {}, 'credential', false));
    },
  };

  function bind(text: string, subject: string): BoundTemplate {
    const bound = bindTemplate(text, subject, scope);
    for (const { kind, name } of bound.template.references) {
      if (kind !== 'variable' || isCoreVariable(name)) continue;
      secret = true;
      if (!scope.configured(name) && !context.env[name]) scope.installed(name); // its challenge and observe run from the first request on
    }
    if (bound.template.references.some(({ kind }) => kind === 'env')) secret = true;
    return bound;
  }

  function add(
    definition: AuthProviderDefinition,
    options: Readonly<Record<string, unknown>>,
    stage: Stage,
    authorizes: boolean,
  ): ChainMember {
    const parsed = explain(definition.options, expandOptions(options, definition.options, context), (problem) =>
      optionsError(definition.type, problem, server),
    );
    for (const [, value] of secretStrings(definition.options, parsed as object))
      if (!value.includes('${')) context.conceal(value);
    const member: { -readonly [K in keyof ChainMember]: ChainMember[K] } = {
      type: definition.type,
      provider: placeholder,
      stage,
      authorizes,
      epoch: 0,
      renewals: new Map(),
    };
    if (stage !== 'headers' && stage !== 'signed-headers') byType.set(definition.type, member);
    member.provider = definition.create(parsed, {
      ...context.services(definition.type),
      implicit: !authorizes,
      template: (text) => bind(text, `A template of auth method ${definition.type} of server ${server}`),
    });
    members.push(member);
    return member;
  }

  function addHeaders(headers: Readonly<Record<string, string>>, definition: AuthProviderDefinition): void {
    const plain: Record<string, string> = {};
    const signed: Record<string, string> = {};
    for (const [name, value] of Object.entries(headers)) {
      if (TRANSPORT_HEADER.test(name.toLowerCase())) passedOver.push(name.toLowerCase());
      else
        (signatureNames(value, name).some((variable) => isSignature(registry, variable)) ? signed : plain)[name] =
          value;
      if (isSensitiveName(name)) secret = true;
    }
    if (Object.keys(plain).length > 0) add(definition, { headers: plain }, 'headers', true);
    if (Object.keys(signed).length > 0) add(definition, { headers: signed }, 'signed-headers', true);
  }

  const signatureNames = (text: string, name: string): string[] =>
    new Template(text, `Header ${name} of server ${server}`).references
      .filter(({ kind }) => kind === 'variable')
      .map(({ name: variable }) => variable);

  const configured = withSignatures(entries, registry, server, signatureNames);
  // Providers first: a header's variable is answered by the server's own.
  for (const { method, options } of configured) {
    if (method === 'headers') continue;
    const definition = registry.authProvider(method);
    if (byType.has(method))
      throw new CountersignError('CONFIG_INVALID', `Server ${server} configures the auth method ${method} twice.`, {
        server,
      });
    add(definition, options, definition.stage ?? 'credential', true);
    secret = true;
  }
  if (members.filter(({ stage }) => stage === 'signature').length > 1)
    throw new CountersignError('CONFIG_INVALID', `Server ${server} has two signatures; a request carries one.`, {
      server,
    });
  for (const { method, options } of configured) {
    if (method !== 'headers') continue;
    const definition = registry.authProvider('headers');
    const { headers } = explain(definition.options, options, (problem) => optionsError('headers', problem, server)) as {
      headers: Record<string, string>;
    };
    addHeaders(headers, definition);
  }
  refuseConflicts(configured, registry, context);
  members.sort((a, b) => STAGES.indexOf(a.stage) - STAGES.indexOf(b.stage));

  return {
    members,
    get secret() {
      return secret;
    },
    passedOver,
    bind,
  };
}

const placeholder: AuthProvider = { authorize: () => undefined };

function computedBy(
  definition: AuthProviderDefinition,
  name: string,
  member: ChainMember | undefined,
): ComputedBy | undefined {
  return member && { provider: member.provider, signature: definition.signatures?.includes(name) ?? false };
}

function lists(definition: AuthProviderDefinition, name: string): boolean {
  return (definition.variables?.includes(name) ?? false) || (definition.signatures?.includes(name) ?? false);
}

function isSignature(registry: Registry, name: string): boolean {
  return registry.authProviders.some(({ signatures }) => signatures?.includes(name));
}

/** A template that names a signature variable configures its provider, as if `auth` named it without options. */
function withSignatures(
  entries: readonly AuthEntry[],
  registry: Registry,
  server: string,
  namesOf: (text: string, header: string) => string[],
): AuthEntry[] {
  const methods = new Set(entries.map(({ method }) => method));
  const added: AuthEntry[] = [];
  for (const { method, options } of entries) {
    const headers = method === 'headers' ? options['headers'] : undefined;
    if (typeof headers !== 'object' || headers === null) continue;
    for (const [header, value] of Object.entries(headers)) {
      for (const name of typeof value === 'string' ? namesOf(value, header) : []) {
        const able = registry.authProviders.filter(({ signatures }) => signatures?.includes(name));
        if (able.length === 0 || able.some(({ type }) => methods.has(type))) continue;
        const [only, other] = able;
        if (other || !only)
          throw new CountersignError(
            'AMBIGUOUS_VARIABLE',
            `\${${name}} of server ${server} is computed by ${able.map(({ type }) => type).join(' and by ')}.`,
            { server },
          );
        methods.add(only.type);
        added.push({ method: only.type, options: {} });
      }
    }
  }
  return [...entries, ...added];
}

/** Two members that set one header: an error, unless one is the signature's own template. */
function refuseConflicts(entries: readonly AuthEntry[], registry: Registry, context: ChainContext): void {
  const claims = new Map<string, string>();
  const claim = (header: string, method: string): void => {
    const before = claims.get(header);
    if (before !== undefined)
      throw new CountersignError(
        'HEADER_CONFLICT',
        `Both ${before} and ${method} of server ${context.server} set the header ${header}.`,
        { server: context.server },
      );
    claims.set(header, method);
  };
  const computes = (variable: string): boolean =>
    entries.some(({ method }) => method !== 'headers' && registry.authProvider(method).variables?.includes(variable));
  for (const { method, options } of entries) {
    const definition = registry.authProvider(method);
    if (method === 'headers') {
      const seen = new Set<string>();
      for (const [header, value] of Object.entries(options['headers'] as Record<string, string>)) {
        const name = header.toLowerCase();
        if (seen.has(name)) claim(name, 'headers');
        seen.add(name);
        const { references } = new Template(value);
        const signed = references.some(({ name: variable }) => isSignature(registry, variable));
        // The header of a configured provider's own variable: the template and the provider mean one credential.
        const owned = references.some(({ kind, name: variable }) => kind === 'variable' && computes(variable));
        if (name !== 'accept' && !signed && !owned) claim(name, 'headers');
      }
    } else if (definition.stage !== 'signature') {
      const parsed = explain(definition.options, expandOptions(options, definition.options, context), (problem) =>
        optionsError(method, problem, context.server),
      );
      for (const header of definition.sets?.(parsed) ?? []) claim(header, method);
    }
  }
}

function optionsError(method: string, problem: string, server: string): CountersignError {
  return new CountersignError('AUTH_OPTIONS_INVALID', `Auth method ${method} of server ${server} ${problem}.`, {
    server,
  });
}
