import {
  createContainer,
  createCountersign,
  defineAuthProvider,
  HeaderFields,
  tokens,
  type AuthProvider,
  type AuthProviderDefinition,
  type AuthServices,
  type Clock,
  type Countersign,
  type OutgoingRequest,
  type Plugin,
} from '@countersign/core';
import { randomUUID } from 'node:crypto';
import { expect, told, within } from './expectations.js';
import { initialize } from './mcp-messages.js';
import { recordMcpServer, type ReceivedRequest, type RecordingServer } from './recording-server.js';
import { textOf } from './secrets.js';

/** What a provider needs to work in a test, and what tells whether it did. Made anew for each test. */
export interface AuthProviderScenario {
  /** The server's `auth` but for `method`. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** The environment that the options refer to. Without it the provider must refuse to send. */
  readonly env?: Readonly<Record<string, string>>;
  /** As the server would: whether the request's credential is good. */
  readonly accepts: (request: ReceivedRequest) => boolean | Promise<boolean>;
  /** The secrets in play: they must show nowhere but in the request's headers. */
  readonly secrets: readonly string[];
  /** Makes the credential in use a bad one, and a new one available. Needed for a provider with `challenge`. */
  readonly revoke?: () => void | Promise<void>;
  /** How many credentials the provider has obtained so far, where that can be counted: requests to a token endpoint. */
  readonly renewals?: () => number;
  /** Makes the source of credentials fail: an endpoint that answers 500, a file that is gone. */
  readonly cutOff?: () => void | Promise<void>;
  readonly clock?: Clock;
  readonly dispose?: () => void | Promise<void>;
}

/** A provider under test. */
export interface AuthProviderSubject {
  /** The package's default export. */
  readonly plugin: Plugin;
  /** Called once a test with the server that the requests go to. */
  readonly scenario: (server: RecordingServer) => AuthProviderScenario | Promise<AuthProviderScenario>;
}

/** One running instance with the provider under test on the server "subject". */
export interface Instance {
  readonly app: Countersign;
  readonly provider: AuthProvider;
  readonly options: unknown;
  /** What the provider wrote to its log, before the redactor. */
  readonly log: readonly string[];
  /** What the errors of its members showed, before the redactor. */
  readonly errors: readonly string[];
  /** Resolves at the next call of `authorize`. */
  readonly authorizing: () => Promise<void>;
  readonly post: (init?: RequestInit & { path?: string }) => Promise<Response>;
  readonly get: (init?: RequestInit) => Promise<Response>;
  /** Gives up what is under way. */
  readonly close: () => Promise<void>;
}

/** What a behaviour works with. */
export interface Bench {
  readonly definition: AuthProviderDefinition;
  readonly server: RecordingServer;
  readonly scenario: AuthProviderScenario;
  /** Starts an instance, with other options or another environment than the scenario's where given. */
  readonly start: (changes?: Pick<AuthProviderScenario, 'options' | 'env'>) => Promise<Instance>;
}

/** A behaviour that every provider has to show: it throws what is to be mended. */
export type Behaviour = (bench: Bench) => Promise<void>;

/** The one definition that a plugin registers. */
export function definitionOf(plugin: Plugin): AuthProviderDefinition {
  const container = createContainer([plugin]);
  const definitions = container.isRegistered(tokens.authProvider) ? container.resolveAll(tokens.authProvider) : [];
  expect(
    definitions.length === 1,
    `The plugin ${plugin.name} registers ${definitions.length} auth providers, and the kit tests one: make it with defineAuthProvider.`,
  );
  return definitions[0]!;
}

/** Runs a behaviour with a server and a scenario of its own, and closes all that it started. */
export async function withBench(
  { plugin, scenario: create }: AuthProviderSubject,
  behaviour: (bench: Bench) => Promise<void>,
): Promise<void> {
  const definition = definitionOf(plugin);
  let scenario: AuthProviderScenario | undefined;
  let fault: unknown;
  const server = await recordMcpServer({
    accepts: async (request) => {
      try {
        return (await scenario?.accepts(request)) ?? false;
      } catch (error) {
        fault ??= error;
        return false;
      }
    },
  });
  const instances: Instance[] = [];
  try {
    const made = (scenario = await create(server));
    const start: Bench['start'] = async (changes) => {
      const instance = await startInstance(plugin.name, definition, server, { ...made, ...changes });
      instances.push(instance);
      return instance;
    };
    await behaviour({ definition, server, scenario, start }).catch((error: unknown) => {
      expect(
        fault === undefined,
        `The scenario's \`accepts\` threw ${told(fault)}: answer true or false for any request.`,
      );
      throw error;
    });
  } finally {
    await Promise.all(instances.map((instance) => within(instance.close(), '`dispose` did not end')));
    await server.close();
    await scenario?.dispose?.();
  }
}

async function startInstance(
  name: string,
  definition: AuthProviderDefinition,
  server: RecordingServer,
  scenario: AuthProviderScenario,
): Promise<Instance> {
  const log: string[] = [];
  const errors: string[] = [];
  let waiting: (() => void)[] = [];
  let created: { provider: AuthProvider; options: unknown } | undefined;
  const observed = defineAuthProvider(name, {
    ...definition,
    create(options: unknown, services: AuthServices) {
      const line = (text: string): void => void log.push(text);
      const provider = definition.create(options, { ...services, log: { debug: line, warn: line } });
      created = { provider, options };
      return observe(provider, errors, (member) => {
        if (member !== 'authorize') return;
        for (const wake of waiting) wake();
        waiting = [];
      });
    },
  });
  const app = await createCountersign({
    plugins: [observed],
    servers: { subject: { url: server.url.href, auth: { method: definition.type, ...scenario.options } } },
    env: scenario.env ?? {},
    timeout: 10_000,
    ...(scenario.clock ? { clock: scenario.clock } : {}),
  });
  const underWay: AbortController[] = [];
  const send = (url: string, init: RequestInit): Promise<Response> => {
    const end = new AbortController();
    underWay.push(end);
    return app.fetch('subject')(url, { signal: end.signal, ...init });
  };
  const made = (): { provider: AuthProvider; options: unknown } => {
    if (!created) app.exchange('subject'); // Makes the server's providers.
    expect(created, `The plugin's definition was not created for auth.method "${definition.type}".`);
    return created;
  };
  return {
    app,
    log,
    errors,
    get provider() {
      return made().provider;
    },
    get options() {
      return made().options;
    },
    async close() {
      for (const end of underWay) end.abort();
      await app.close();
    },
    authorizing: () => new Promise((done) => waiting.push(done)),
    post: ({ path = '', ...init } = {}) =>
      send(server.url.href + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
        body: JSON.stringify(initialize()),
        ...init,
      }),
    get: (init) => send(server.url.href, { headers: { accept: 'text/event-stream' }, ...init }),
  };
}

/** The provider itself, with a look at what its members throw. */
function observe(provider: AuthProvider, errors: string[], called: (member: PropertyKey) => void): AuthProvider {
  return new Proxy(provider, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== 'function') return member;
      return (...args: unknown[]): unknown => {
        called(name);
        const caught = (error: unknown): never => {
          errors.push(textOf(error)); // Now: the redactor changes it in place.
          throw error;
        };
        try {
          const answer: unknown = Reflect.apply(member, target, args);
          return answer instanceof Promise ? answer.catch(caught) : answer;
        } catch (error) {
          return caught(error);
        }
      };
    },
  });
}

/** A request as the exchange hands it to a provider. */
export function outgoingRequest(url: URL, number = 1): OutgoingRequest {
  const memory = new Map<object, unknown>();
  return {
    method: 'POST',
    url: new URL(url),
    headers: new HeaderFields([
      ['content-type', 'application/json'],
      ['accept', 'application/json, text/event-stream'],
    ]),
    body: JSON.stringify(initialize()),
    attempt: {
      number,
      time: new Date(),
      nonce: randomUUID(),
      memo<T>(key: object, make: () => T): T {
        if (!memory.has(key)) memory.set(key, make());
        return memory.get(key) as T;
      },
    },
  };
}

/** Expects that the server accepted the answer's request, and that what it had received before was accepted as well. */
export async function expectAccepted(answer: Promise<Response>, what: string): Promise<void> {
  let response: Response;
  try {
    response = await within(answer, `${what} did not end`);
  } catch (error) {
    throw new Error(
      `${what} ended with ${told(error)}. The scenario says that it should be accepted: mend \`authorize\`, or the scenario's options.`,
      { cause: error },
    );
  }
  await response.body?.cancel();
  expect(
    response.status === 200,
    `${what} was answered ${response.status}: \`authorize\` did not put a credential on it that the scenario's \`accepts\` takes.`,
  );
}

/** A response, its body given up, or what came instead. */
export async function settled(response: Promise<Response>): Promise<Response | Error> {
  try {
    const answer = await response;
    await answer.body?.cancel();
    return answer;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
