import type { Countersign, CredentialStatus, ServerSummary } from '@countersign/core';
import { atMost } from './at-most.js';
import type { Connection } from './connection.js';
import type { Context } from './context.js';
import { failure, type Failure } from './failure.js';
import { listAll } from './list-all.js';
import { sessionWith } from './sessions.js';
import { withSignIn } from './sign-in.js';

/** Servers that are connected to at once. */
const WIDTH = 8;

/** One server of the `connections` document. */
export interface ConnectionRow {
  readonly name: string;
  readonly transport: string;
  readonly url?: string;
  readonly command?: string;
  readonly auth: readonly string[];
  readonly state: 'ready' | 'login_required' | 'failed';
  readonly protocol: string | null;
  readonly serverInfo: Readonly<Record<string, unknown>> | null;
  /** Counts; null where the server could not be asked. */
  readonly tools: number | null;
  readonly resources: number | null;
  readonly prompts: number | null;
  /** Milliseconds from the start to the answer to `initialize`. */
  readonly latencyMs: number | null;
  readonly credential: CredentialStatus | null;
  readonly error?: Omit<Failure, 'server'>;
}

/** Connects to the named servers, or to all, and tells how it went with each. Throws UNKNOWN_SERVER before anything is connected to. */
export async function connectAll(context: Context, names: readonly string[]): Promise<ConnectionRow[]> {
  const app = await context.app();
  // An unknown name is the person's slip, and not a server's failure.
  for (const name of names) if (!app.servers.some((server) => server.name === name)) await app.status(name);
  const servers = names.length === 0 ? app.servers : app.servers.filter(({ name }) => names.includes(name));
  let done = 0;
  const progress = (): void =>
    context.screen.progress(
      done < servers.length
        ? `Connecting to ${servers.length} server${servers.length === 1 ? '' : 's'}: ${done} done`
        : undefined,
    );
  progress();
  return atMost(WIDTH, servers, async (server) => {
    const row = await connectOne(context, app, server);
    done++;
    progress();
    return row;
  });
}

async function connectOne(context: Context, app: Countersign, server: ServerSummary): Promise<ConnectionRow> {
  const base = {
    name: server.name,
    transport: server.transport,
    ...(server.url ? { url: server.url.href } : {}),
    ...(server.command === undefined ? {} : { command: server.command }),
    auth: server.auth,
  };
  try {
    const connection = await sessionWith(context, server.name);
    const counts = await withSignIn(context, server.name, async () =>
      capabilityCounts(await sessionWith(context, server.name), context.signal),
    );
    return {
      ...base,
      state: 'ready',
      protocol: connection.protocol,
      serverInfo: connection.serverInfo ?? null,
      ...counts,
      latencyMs: connection.latencyMs,
      credential: await credentialOf(app, server.name),
    };
  } catch (error) {
    if (context.signal.aborted) throw error;
    const { code, message, remedy } = failure(error, server.name, context.address);
    return {
      ...base,
      state: code === 'LOGIN_REQUIRED' ? 'login_required' : 'failed',
      ...UNKNOWN,
      credential: await credentialOf(app, server.name),
      error: { code, message, remedy },
    };
  }
}

const UNKNOWN = { protocol: null, serverInfo: null, tools: null, resources: null, prompts: null, latencyMs: null };

async function capabilityCounts(
  connection: Connection,
  signal: AbortSignal,
): Promise<{ tools: number; resources: number; prompts: number }> {
  const count = async (kind: 'tools' | 'resources' | 'prompts'): Promise<number> =>
    connection.capabilities[kind] ? (await listAll(connection, `${kind}/list`, kind, { signal })).items.length : 0;
  const [tools, resources, prompts] = await Promise.all([count('tools'), count('resources'), count('prompts')]);
  return { tools, resources, prompts };
}

// A row without it says less; a server is not down because its credential can't be described.
function credentialOf(app: Countersign, name: string): Promise<CredentialStatus | null> {
  return app.status(name).catch(() => null);
}
