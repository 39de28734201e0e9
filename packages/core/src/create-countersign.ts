import type { DependencyContainer, InjectionToken } from 'tsyringe';
import type { Interaction } from './auth-provider.js';
import { authorizedFetch } from './authorized-fetch.js';
import { checkConfiguration } from './check.js';
import { systemClock } from './clock.js';
import { concealNamed } from './conceal-named.js';
import { readConfiguration, toConfiguration, type Configuration } from './configuration.js';
import { createContainer } from './container.js';
import type { Countersign, CountersignOptions, ServerSummary } from './countersign.js';
import { readEnvironment } from './environment.js';
import { CountersignError, isCountersignError } from './errors.js';
import type { Exchange } from './exchange.js';
import { loadPlugins } from './load-plugins.js';
import { silentLog, type Log } from './log.js';
import { memoryStore } from './memory-store.js';
import { nodeSender } from './node-sender.js';
import { tokens } from './plugin.js';
import { recordRequest } from './preview.js';
import { createRedactor, redactError, type Redactor } from './redactor.js';
import { createRegistry } from './registry.js';
import { jsonSchemaOf } from './schema.js';
import { createServer, DEFAULT_PROFILE, DEFAULT_TIMEOUT_MS, methodsOf, type Server } from './server.js';

const MAX_LOGINS = 3;

/** Makes an instance. Reads files and loads plugins; sends nothing. Throws what concerns the whole configuration; what concerns one server is thrown where that server is used. */
export async function createCountersign(options: CountersignOptions): Promise<Countersign> {
  const configuration = await configurationOf(options);
  const env = await readEnvironment(options.env ?? process.env, options.envFile, configuration.folder);
  const redactor = createRedactor();
  concealNamed(configuration, env, redactor);
  const loaded = loadPlugins(configuration.plugins, configuration.folder, options.pluginsFallback);
  const container = await loaded
    .then((others) => createContainer([...(options.plugins ?? []), ...others]))
    .catch((error: unknown) => {
      throw redactError(error, redactor);
    });
  const registry = createRegistry(container);
  const single = <T>(token: InjectionToken<T>, given: T | undefined, standard: () => T): T =>
    given ?? (container.isRegistered(token, true) ? container.resolve(token) : standard());
  const store = single(tokens.secretStore, undefined, () => options.store ?? memoryStore());
  const interaction = options.interaction ?? optional(container, tokens.interaction);
  const context = {
    configuration,
    registry,
    env,
    redactor,
    store,
    clock: single(tokens.clock, options.clock, () => systemClock),
    log: redacting(
      single(tokens.log, options.log, () => silentLog),
      redactor,
    ),
    senderFactory: single(tokens.senderFactory, undefined, () => nodeSender),
    profile: options.profile,
    timeout: options.timeout,
  };
  const servers = new Map<string, Server>();
  const logins = new Map<string, Promise<void>>();

  function open(name: string): Server {
    const known = servers.get(name);
    if (known) return known;
    const configured = configuration.servers.get(name);
    if (!configured)
      throw new CountersignError(
        'UNKNOWN_SERVER',
        `The configuration has no server ${JSON.stringify(name.slice(0, 80))}; it has ${[...configuration.servers.keys()].join(', ') || 'none'}.`,
      );
    const server = createServer(configured, context);
    servers.set(name, server);
    return server;
  }

  /** Outside any provider call: one sign-in for all that wait, then the request again. */
  function signingIn(name: string, exchange: Exchange): Exchange {
    return async (request, signal) => {
      for (let count = 0; ; count++) {
        try {
          return await exchange(request, signal);
        } catch (error) {
          if (!interaction || count >= MAX_LOGINS || !isCountersignError(error, 'LOGIN_REQUIRED'))
            throw redactError(error, redactor);
          await sharedLogin(name, interaction);
        }
      }
    };
  }

  function sharedLogin(name: string, person: Interaction): Promise<void> {
    const login = logins.get(name) ?? signIn(name, person, undefined).finally(() => logins.delete(name));
    logins.set(name, login);
    return login;
  }

  async function signIn(name: string, person: Interaction, signal: AbortSignal | undefined): Promise<void> {
    const able = open(name).chain.members.filter(({ provider }) => provider.login !== undefined);
    if (able.length === 0)
      throw new CountersignError(
        'USAGE',
        `Server ${name} has no credential that a person signs in for (it uses ${methodsOf(open(name).chain).join(', ') || 'none'}).`,
        { server: name, remedy: 'There is nothing to sign in to: use the server as it is.' },
      );
    for (const { provider } of able) await provider.login?.(person, signal);
  }

  /** Every error that leaves the instance has passed the redactor. */
  const clean = async <T>(work: () => T | Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw redactError(error, redactor);
    }
  };

  return {
    servers: [...configuration.servers.values()].map(({ name, transport, entry, auth }): ServerSummary => {
      const url = entry.url !== undefined && URL.canParse(entry.url) ? new URL(entry.url) : undefined;
      if (url) url.username = url.password = ''; // such a URL is refused where the server is used
      return {
        name,
        transport,
        ...(url ? { url } : {}),
        ...(entry.command === undefined ? {} : { command: entry.command }),
        get auth() {
          try {
            return methodsOf(open(name).chain);
          } catch {
            return auth.map(({ method }) => method); // its fault is told where the server is used
          }
        },
        profile: options.profile ?? entry.profile ?? DEFAULT_PROFILE,
        timeout: options.timeout ?? (entry.timeout === undefined ? DEFAULT_TIMEOUT_MS : entry.timeout * 1000),
        timeoutIsDefault: options.timeout === undefined && entry.timeout === undefined,
        ...(entry.sse_read_timeout === undefined ? {} : { idle: entry.sse_read_timeout * 1000 }),
      };
    }),
    transport: (name, signal) => clean(() => open(name).open((exchange) => signingIn(name, exchange), signal)),
    fetch: (name) => authorizedFetch(() => signingIn(name, open(name).exchange)),
    exchange: (name) => signingIn(name, open(name).exchange),
    login: (name, { interaction: person = interaction, signal } = {}) =>
      clean(async () => {
        if (!person) throw new CountersignError('USAGE', 'A sign-in needs an interaction.', { server: name });
        await signIn(name, person, signal);
      }),
    logout: (name) =>
      clean(
        async () => void (await Promise.all(open(name).chain.members.map(async ({ provider }) => provider.logout?.()))),
      ),
    refresh: (name) =>
      clean(
        async () =>
          void (await Promise.all(open(name).chain.members.map(async ({ provider }) => provider.refresh?.()))),
      ),
    status: (name, { detail = false } = {}) => clean(() => open(name).status(detail)),
    preview: (name, request) => clean(() => recordRequest(open(name), request, redactor)),
    check: () => checkConfiguration({ configuration, registry, env, open }),
    installed: () => ({
      auth: registry.authProviders.map(
        ({ type, stage = 'credential', variables = [], signatures = [], options: schema }) => ({
          type,
          stage,
          variables,
          signatures,
          options: jsonSchemaOf(schema),
        }),
      ),
      transports: registry.transportProviders.map(({ type, options: schema }) => ({
        type,
        options: jsonSchemaOf(schema),
      })),
      stores: [{ description: store.description ?? 'custom' }],
    }),
    redact: (text) => redactor.redact(text),
    async close() {
      await Promise.allSettled([...servers.values()].map((server) => server.dispose()));
      servers.clear();
      await store.dispose?.();
    },
  };
}

async function configurationOf({ servers, configFile }: CountersignOptions): Promise<Configuration> {
  if (servers !== undefined && configFile !== undefined)
    throw new CountersignError('USAGE', 'createCountersign takes `servers` or `configFile`, not both.');
  if (configFile !== undefined) return readConfiguration(configFile);
  if (servers !== undefined) return toConfiguration(servers);
  throw new CountersignError('USAGE', 'createCountersign needs `servers` or `configFile`.');
}

function optional<T>(container: DependencyContainer, token: InjectionToken<T>): T | undefined {
  return container.isRegistered(token, true) ? container.resolve(token) : undefined;
}

function redacting(log: Log, redactor: Redactor): Log {
  const warn = (message: string): void => log.warn(redactor.redact(message));
  if (log.quiet) return { quiet: true, debug() {}, warn };
  return { debug: (message) => log.debug(redactor.redact(message)), warn };
}
