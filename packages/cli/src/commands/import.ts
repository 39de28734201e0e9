import {
  CountersignError,
  findCountersignError,
  isSensitiveName,
  type Countersign,
  type Interaction,
  type ServerSummary,
} from '@countersign/core';
import { parseHeader } from '../bridge-options.js';
import type { Context, RunCommand } from '../context.js';
import { failure } from '../failure.js';
import { identity, type Identity } from '../identity.js';
import { findSignIn, mcpRemoteFolder, type McpRemoteFlags } from '../mcp-remote.js';
import { signIn } from '../sign-in.js';

interface Taken {
  readonly server: string;
  readonly taken: boolean;
  /** Why not. */
  readonly reason?: string;
  readonly credential?: Identity;
}

/** `import mcp-remote [SERVER|URL]`: takes over the sign-ins of mcp-remote, once, for one server or all that are configured. */
export const run: RunCommand = async (context, [program, name], options) => {
  if (program !== 'mcp-remote')
    throw new CountersignError(
      'USAGE',
      `There is nothing to import from ${JSON.stringify(String(program).slice(0, 80))}.`,
      {
        remedy: 'Run `countersign import mcp-remote`.',
      },
    );
  refuseSecrets(options);
  const app = await context.app();
  const folder = mcpRemoteFolder(process.env);
  const servers = app.servers.filter((server) => (name === undefined ? usesOAuth(server) : server.name === name));
  if (name !== undefined) refuseUnlessOAuth(app, name);
  const rows: Taken[] = [];
  for (const server of servers) rows.push(await take(context, server, options, folder, name !== undefined));
  const { screen } = context;
  if (screen.json) screen.document({ servers: rows });
  else if (rows.length === 0) screen.print('The configuration has no server with method oauth.');
  else for (const row of rows) screen.print(line(row));
  return 0;
};

/** R15, as the bridge does. */
function refuseSecrets({ header = [], authorizeParam = [] }: McpRemoteFlags): void {
  header.forEach(parseHeader);
  for (const pair of authorizeParam)
    if (isSensitiveName(pair.split('=', 1)[0] ?? ''))
      throw new CountersignError('USAGE', 'A secret on the command line is one that every process can read.', {
        remedy: `Sign in anew in place of importing: \`countersign login SERVER\`.`,
      });
}

const usesOAuth = ({ auth, url }: ServerSummary): boolean => auth.includes('oauth') && url !== undefined;

function refuseUnlessOAuth(app: Countersign, name: string): void {
  const server = app.servers.find((one) => one.name === name);
  if (!server)
    throw new CountersignError(
      'UNKNOWN_SERVER',
      `The configuration has no server ${JSON.stringify(name.slice(0, 80))}; it has ${app.servers.map((one) => one.name).join(', ') || 'none'}.`,
    );
  if (!usesOAuth(server))
    throw new CountersignError('USAGE', `Server ${name} does not use OAuth.`, {
      server: name,
      remedy: 'Add "auth": { "method": "oauth" } to it.',
    });
}

/** Takes one server's. What fails is a row, or thrown where the server was `asked` for by name. */
async function take(
  context: Context,
  { name, url }: ServerSummary,
  flags: McpRemoteFlags,
  folder: string,
  asked: boolean,
): Promise<Taken> {
  const app = await context.app();
  try {
    const { state } = await app.status(name);
    if (state === 'ready') return { server: name, taken: false, reason: 'it is signed in already' };
    const found = await findSignIn(url as URL, flags, folder);
    if (!found) throw nothing(name, url as URL, folder);
    await signIn(context, name, adopting(found.tokens));
    const place = await found.setAside().catch(() => undefined);
    if (place === undefined)
      context.screen.warn("mcp-remote's file could not be moved aside: don't use mcp-remote for this server any more.");
    return { server: name, taken: true, credential: await identity(app, name) };
  } catch (error) {
    if (asked || !findCountersignError(error)) throw error;
    return { server: name, taken: false, reason: failure(error, name).message };
  }
}

function nothing(server: string, url: URL, folder: string): CountersignError {
  return new CountersignError('CREDENTIAL_UNAVAILABLE', `mcp-remote has no sign-in to ${url.href} in ${folder}.`, {
    server,
    remedy: `Give the flags that mcp-remote is started with (--resource, --header, --authorize-param), or sign in: \`countersign login ${server}\`.`,
  });
}

/** Nobody is asked: what the person has is in the tokens. */
function adopting(tokens: NonNullable<Interaction['tokens']>): Interaction {
  const nobody = (): Promise<never> =>
    Promise.reject(new CountersignError('LOGIN_FAILED', 'Nobody is asked during an import.'));
  return { tokens, show: nobody, ask: nobody, tell: () => undefined };
}

const line = ({ server, taken, reason }: Taken): string =>
  taken ? `${server}: signed in, with what mcp-remote had.` : `${server}: nothing taken: ${reason}`;
