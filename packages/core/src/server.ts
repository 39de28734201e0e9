import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { resolve } from 'node:path';
import type { CredentialStatus, TlsOptions } from './auth-provider.js';
import { authorizedFetch } from './authorized-fetch.js';
import { buildChain, type Chain } from './chain.js';
import type { Clock } from './clock.js';
import type { Configuration, ServerConfiguration } from './configuration.js';
import { CountersignError } from './errors.js';
import { createExchange, type Exchange, type ExchangeSettings } from './exchange.js';
import { expand } from './expansion.js';
import { guardedFetch } from './guarded-fetch.js';
import type { Log } from './log.js';
import { addressProblem } from './addresses.js';
import { isSensitiveName, type Redactor } from './redactor.js';
import { refusal } from './refusal.js';
import type { Registry } from './registry.js';
import { explain, fieldsOf } from './schema.js';
import { scopeStore, type SecretStore } from './secret-store.js';
import type { Sender, SenderFactory } from './sender.js';
import type {
  Transport,
  TransportProvider,
  TransportProviderDefinition,
  TransportServices,
} from './transport-provider.js';

/** What an instance lends each of its servers. */
export interface ServerContext {
  readonly configuration: Configuration;
  readonly registry: Registry;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly redactor: Redactor;
  readonly store: SecretStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly senderFactory: SenderFactory;
  readonly profile: string | undefined;
  readonly timeout: number | undefined;
}

/** A configured server with its providers made. Nothing has been sent. */
export interface Server {
  readonly name: string;
  readonly url: URL | undefined;
  readonly profile: string;
  readonly timeout: number;
  readonly chain: Chain;
  /** Throws USAGE for a server without a URL. */
  /** A request carries a credential, in its headers or in the URL. */
  readonly secret: boolean;
  readonly exchange: Exchange;
  /** The same exchange with another sender: what it would send. */
  exchangeWith(sender: Sender): Exchange;
  /** `wrap` adds what the instance does around an exchange: a sign-in, redaction. */
  open(wrap: (exchange: Exchange) => Exchange, signal?: AbortSignal): Promise<Transport>;
  status(detail: boolean): Promise<CredentialStatus>;
  dispose(): Promise<void>;
}

export const DEFAULT_PROFILE = 'default';
export const DEFAULT_TIMEOUT_MS = 60_000;

/** Makes a server from its configuration. Throws what is wrong with it. */
export function createServer(configured: ServerConfiguration, context: ServerContext): Server {
  if (configured.fault) throw configured.fault;
  const { name, entry } = configured;
  const { configuration, env, redactor, registry, clock, log } = context;
  const scope = { server: name, env };
  const path = (file: string): string => resolve(configuration.folder, file.replace(/^~(?=[/\\]|$)/, homedir()));
  const url = entry.url === undefined ? undefined : serverUrl(expand(entry.url, 'url', scope) as string, name);
  const keys = [...(url?.searchParams ?? [])].filter(([key]) => isSensitiveName(key));
  for (const [, value] of keys) redactor.conceal(value);
  const profile = context.profile ?? entry.profile ?? DEFAULT_PROFILE;
  const tls = readTls(configured, (field, file) => path(expand(file, field, scope) as string));
  const timeout = context.timeout ?? (entry.timeout === undefined ? DEFAULT_TIMEOUT_MS : entry.timeout * 1000);

  const sender = context.senderFactory({ tls, env });
  const except = url && addressProblem(url.hostname);
  const namedSender = context.senderFactory({ tls, env, publicOnly: true, except });
  const fetch = guardedFetch(sender);
  const fetchNamed = guardedFetch(namedSender);
  const usage: ExchangeSettings['usage'] = { requests: 0, refused: 0 };

  const chain = buildChain(configured.auth, {
    ...scope,
    registry,
    conceal: (secret) => redactor.conceal(secret),
    services: (method) => ({
      server: { name, url },
      profile,
      tokens: scopeStore(context.store, { url: url?.href ?? `stdio:${name}`, provider: method, profile }),
      fetch,
      fetchNamed,
      clock,
      env,
      path,
      tls,
      allowedOrigins: configuration.allowedOrigins,
      conceal: (secret) => redactor.conceal(secret),
      log,
    }),
  });
  const environment = Object.entries(entry.env ?? {}).map(
    ([key, value]) => [key, chain.bind(value, `Environment variable ${key} of server ${name}`)] as const,
  );

  /** What is only previewed counts for nothing. */
  const holdsSecret = (): boolean => keys.length > 0 || chain.secret;
  const exchangeWith = (through: Sender, counted = { ...usage }): Exchange => {
    if (!url)
      return () =>
        Promise.reject(
          new CountersignError(
            'USAGE',
            `Server ${name} is ${configured.transport}: it has no URL to send a request to.`,
            { server: name },
          ),
        );
    return createExchange({
      server: { name, url },
      chain: chain.members,
      sender: through,
      clock,
      log,
      usage: counted,
      timeout,
      idle: entry.sse_read_timeout === undefined ? undefined : entry.sse_read_timeout * 1000,
      allowInsecureHttp: configuration.allowInsecureHttp.some((host) => host === url.host || host === url.hostname),
      get secret() {
        return holdsSecret();
      },
      conceal: (secret) => redactor.conceal(secret, true),
    });
  };

  const exchange = exchangeWith(sender, usage);

  async function status(detail: boolean): Promise<CredentialStatus> {
    const told = await Promise.all(
      chain.members
        .filter(({ provider }) => provider.status !== undefined)
        .map(async ({ provider, stage }) => ({ stage, status: await provider.status?.(detail) })),
    );
    const credentials = told.filter(({ stage }) => stage === 'credential' || stage === 'signature');
    const candidates = (credentials.length > 0 ? credentials : told).flatMap(({ status: one }) => (one ? [one] : []));
    const worst = ['failed', 'login_required', 'ready', 'unused'].flatMap((state) =>
      candidates.filter((one) => one.state === state),
    )[0];
    const { failure, ...counted } = usage;
    const known = worst ?? { state: 'ready' as const, source: chain.members.length > 0 ? 'configuration' : 'none' };
    if (failure === undefined || known.state !== 'ready') return { ...known, usage: counted };
    return { ...known, state: 'failed', reason: failure, usage: counted };
  }

  const opened = new Set<Transport>();

  return {
    name,
    url,
    profile,
    timeout,
    chain,
    get secret() {
      return holdsSecret();
    },
    exchange,
    exchangeWith,
    status,
    async open(wrap, signal) {
      const make = (definition: TransportProviderDefinition): TransportProvider => {
        const known = fieldsOf(definition.options);
        const fields = Object.fromEntries(Object.entries(configured.raw).filter(([field]) => known.includes(field)));
        const options = explain(
          definition.options,
          expand(fields, 'transport', scope),
          (problem) => new CountersignError('CONFIG_INVALID', `Server ${name} ${problem}.`, { server: name }),
        );
        return definition.create(options, services);
      };
      const accepted: Exchange = async (request, requestSignal) => {
        const response = await wrap(exchange)(request, requestSignal);
        if (response.status !== 401 && response.status !== 403) return response;
        throw await refusal(
          response,
          name,
          methodsOf(chain),
          await status(false).catch(() => undefined),
          chain.members.map(({ provider }) => provider),
        );
      };
      const services: TransportServices = {
        server: { name, url },
        fetch: authorizedFetch(() => accepted),
        exchange: accepted,
        env: async () => renderEnvironment(environment, redactor),
        path,
        timeouts: {
          request: timeout,
          idle: entry.sse_read_timeout === undefined ? undefined : entry.sse_read_timeout * 1000,
        },
        explicit: configured.explicit,
        transport: (type) => {
          const definition = registry.transportProviders.find((installed) => installed.type === type);
          return definition && make(definition);
        },
        clock,
        log,
        redact: (text) => redactor.redact(text),
      };
      const transport = await make(registry.transportProvider(configured.transport)).open(signal);
      const close = transport.close.bind(transport);
      transport.close = () => {
        opened.delete(transport);
        return close();
      };
      opened.add(transport);
      return transport;
    },
    async dispose() {
      await Promise.allSettled([...opened].map((transport) => transport.close())); // before the sender: a session is ended by a request
      await Promise.allSettled(chain.members.map(async ({ provider }) => provider.dispose?.()));
      sender.close();
      namedSender.close();
    },
  };
}

/** The methods in a chain, each once, providers that only a variable reached included. */
export function methodsOf(chain: Chain): string[] {
  return [...new Set(chain.members.map(({ type }) => type))];
}

function serverUrl(text: string, server: string): URL {
  const fail = (what: string, remedy?: string): never => {
    throw new CountersignError('CONFIG_INVALID', `Server ${server} has a wrong "url": ${what}.`, {
      server,
      ...(remedy ? { remedy } : {}),
    });
  };
  if (!URL.canParse(text)) return fail('it is not a URL', 'Write the whole of it: "https://host/mcp".');
  const url = new URL(text);
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    return fail(`it is ${url.protocol}, and must be http or https`);
  if (url.username || url.password)
    return fail(
      'it holds a user name or password',
      'Move them to "headers": { "Authorization": "Basic ${BASIC_CREDENTIAL}" }.',
    );
  url.hash = '';
  return url;
}

function readTls({ name, entry }: ServerConfiguration, path: (field: string, file: string) => string): TlsOptions {
  const read = (field: 'ca' | 'clientCert' | 'clientKey'): string | undefined => {
    const file = entry[field];
    if (file === undefined) return undefined;
    try {
      return readFileSync(path(field, file), 'utf8');
    } catch (error) {
      throw new CountersignError(
        'CONFIG_INVALID',
        `Server ${name} has a wrong "${field}": ${file} can't be read (${(error as { code?: string }).code ?? 'unreadable'}).`,
        { server: name, cause: error },
      );
    }
  };
  const [ca, cert, key] = [read('ca'), read('clientCert'), read('clientKey')];
  if ((cert === undefined) !== (key === undefined))
    throw new CountersignError('CONFIG_INVALID', `Server ${name} has only one of "clientCert" and "clientKey".`, {
      server: name,
    });
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}

async function renderEnvironment(
  templates: readonly (readonly [string, ReturnType<Chain['bind']>])[],
  redactor: Redactor,
): Promise<Record<string, string>> {
  const rendered: Record<string, string> = {};
  for (const [key, bound] of templates) {
    const value = await bound.render(`Environment variable ${key}`, undefined);
    if (value === undefined) continue;
    rendered[key] = value;
    if (isSensitiveName(key)) redactor.conceal(value);
  }
  return rendered;
}
