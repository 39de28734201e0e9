import { connect, type Connection, type RequestOptions } from './connection.js';
import type { Context } from './context.js';
import { withSignIn } from './sign-in.js';

const DEFAULT_TIMEOUT = 60_000;

/** The open session with a server, opened if there is none; signs in where that is needed and somebody can. */
export async function sessionWith(context: Context, name: string): Promise<Connection> {
  const existing = context.connections.get(name);
  if (existing?.open) return existing;
  const app = await context.app();
  const timeout = app.servers.find((server) => server.name === name)?.timeout ?? DEFAULT_TIMEOUT;
  const connection = await withSignIn(context, name, () =>
    connect(app, name, {
      signal: context.signal,
      timeout,
      notified: context.notified && ((notification) => context.notified?.(name, notification)),
    }),
  );
  context.connections.set(name, connection);
  return connection;
}

/** One request to a server, with its result as the server gave it. */
export function request<T>(
  context: Context,
  name: string,
  method: string,
  params: Record<string, unknown>,
  options: RequestOptions = {},
): Promise<T> {
  return withSession(context, name, (connection) =>
    connection.request<T>(method, params, { signal: context.signal, ...options }),
  );
}

/** Work on a server's session, done once more after a sign-in that it turns out to need. */
export function withSession<T>(
  context: Context,
  name: string,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  context.screen.progress(`Waiting for ${name}`);
  return withSignIn(context, name, async () => work(await sessionWith(context, name))).finally(() =>
    context.screen.progress(undefined),
  );
}

/** Ends a server's session, if there is one. Never throws: there is nothing left to do about a session that can't be closed. */
export async function endSession(context: Context, name: string): Promise<void> {
  const connection = context.connections.get(name);
  context.connections.delete(name);
  await connection?.close().catch(() => undefined);
}
