import { atMost } from '../at-most.js';
import type { Context, RunCommand } from '../context.js';
import { EXIT, exitCodeOfAll } from '../exit-code.js';
import { failure, type Failure } from '../failure.js';
import { fromNow, identity, type Identity } from '../identity.js';

/** `whoami [SERVER]`: who each credential is, with its claims, scopes and expiry, and never the secret. */
export const run: RunCommand = async (context, [name]) => {
  const app = await context.app();
  const { screen } = context;
  if (name !== undefined) {
    const found = await identity(app, name, true);
    if (screen.json) screen.document(found);
    else screen.print(block(context, found));
    return usable(found) ? EXIT.done : EXIT.authentication;
  }
  const all = await atMost(8, app.servers, async (server) =>
    identity(app, server.name, true).catch((error: unknown) => ({
      server: server.name,
      error: failure(error, server.name, context.address),
    })),
  );
  if (screen.json) screen.document({ servers: all });
  else
    screen.print(all.map((entry) => ('error' in entry ? failed(context, entry) : block(context, entry))).join('\n\n'));
  const failures = all.flatMap((entry) =>
    'error' in entry ? [entry.error.code] : usable(entry) ? [] : ['LOGIN_REQUIRED'],
  );
  return exitCodeOfAll(failures);
};

const usable = ({ state }: Identity): boolean => state === 'ready' || state === 'unused';

const failed = ({ screen }: Context, { server, error }: { server: string; error: Failure }): string =>
  `${screen.style('bold', server)}\n${screen.shown(error.message)}\n${screen.shown(error.remedy)}`;

function block({ screen }: Context, found: Identity): string {
  const rows: [string, string | undefined][] = [
    ['method', found.method],
    ['state', found.state.replace('_', ' ')],
    ['source', found.source],
    ['profile', found.profile],
    ['principal', found.principal ?? undefined],
    ['issuer', found.issuer],
    ['audience', found.audience],
    ['scopes', found.scopes?.join(' ')],
    ['expires', found.expiresAt && `${found.expiresAt.toISOString()} (${fromNow(found.expiresAt, Date.now())})`],
    ['refreshable', found.refreshable === undefined ? undefined : found.refreshable ? 'yes' : 'no'],
    ['reason', found.reason],
    ...Object.entries(found.claims ?? {}).map(([claim, value]): [string, string] => [
      `claim ${claim}`,
      typeof value === 'string' ? value : JSON.stringify(value),
    ]),
    [
      'used',
      `${found.usage.requests} requests, ${found.usage.refused} refused${found.usage.lastUsed ? `, last ${fromNow(found.usage.lastUsed, Date.now())}` : ''}`,
    ],
  ];
  const known = rows.filter((row): row is [string, string] => row[1] !== undefined && row[1] !== '');
  const width = Math.max(...known.map(([title]) => title.length));
  return [
    screen.style('bold', found.server),
    ...known.map(([title, value]) => `  ${screen.shown(title).padEnd(width)}  ${screen.shown(value)}`),
  ].join('\n');
}
