import { createHash } from 'node:crypto';
import { lstat, readdir, readFile, rename } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { IssuedTokens } from '@countersign/core';

/** The flags of mcp-remote that its store's names depend on. */
export interface McpRemoteFlags {
  readonly resource?: string;
  /** As they were written: "X-Api-Key: ${KEY}". */
  readonly header?: readonly string[];
  /** "audience=https://api.example.com" */
  readonly authorizeParam?: readonly string[];
}

/** A sign-in in mcp-remote's store (as of 0.15). */
export interface McpRemoteSignIn {
  readonly tokens: IssuedTokens;
  /** Moves the tokens aside, so that nobody uses them a second time; answers where they are now. */
  setAside(): Promise<string>;
}

const LARGEST = 262_144; // bytes

/** The folder of mcp-remote's store. */
export function mcpRemoteFolder(env: NodeJS.ProcessEnv): string {
  return env['MCP_REMOTE_CONFIG_DIR'] || join(homedir(), '.mcp-auth');
}

/** The newest sign-in to the URL, of any version of mcp-remote; `undefined` for none. Never throws for what lies in its files. */
export async function findSignIn(
  url: URL,
  flags: McpRemoteFlags,
  folder: string,
): Promise<McpRemoteSignIn | undefined> {
  const versions = (await readdir(folder).catch(() => [])).filter((name) => name.startsWith('mcp-remote-'));
  const places = versions.flatMap((version) =>
    namesOf(url, flags).map((name) => ({
      file: join(folder, version, `${name}_tokens.json`),
      client: join(folder, version, `${name}_client_info.json`),
    })),
  );
  const found = await Promise.all(
    places.map(async ({ file, client }) => {
      const kept = await read(file);
      const tokens = kept && tokensOf(kept.json, kept.writtenAt, (await read(client))?.json);
      return tokens ? { file, tokens, writtenAt: kept.writtenAt } : undefined;
    }),
  );
  const [newest] = found.filter((one) => one !== undefined).sort((a, b) => b.writtenAt - a.writtenAt);
  if (!newest) return undefined;
  const { file, tokens } = newest;
  return {
    tokens,
    async setAside() {
      const taken = new Set(await readdir(dirname(file)));
      let aside = `${file}.imported`; // one of an earlier import stays
      for (let number = 2; taken.has(basename(aside)); number++) aside = `${file}.imported-${number}`;
      await rename(file, aside);
      return aside;
    },
  };
}

/** mcp-remote names its files by a hash of the URL as it was typed, and of the flags that make another sign-in of it. */
function namesOf(url: URL, { resource, header = [], authorizeParam = [] }: McpRemoteFlags): string[] {
  const spellings = url.pathname === '/' && !url.search ? [url.href, url.href.slice(0, -1)] : [url.href];
  const rest = [...(resource ? [resource] : []), ...sorted(authorizeParam, '='), ...sorted(header, ':')];
  return spellings.map((text) =>
    createHash('md5')
      .update([text, ...rest].join('|'))
      .digest('hex'),
  );
}

/** The pairs as a JSON object in the order of their names, or nothing. */
function sorted(pairs: readonly string[], separator: string): string[] {
  if (pairs.length === 0) return [];
  const fields = pairs.map((pair) => {
    const at = pair.indexOf(separator);
    return [pair.slice(0, at).trim(), pair.slice(at + 1).trimStart()] as const;
  });
  return [JSON.stringify(Object.fromEntries(fields.sort(([a], [b]) => (a < b ? -1 : 1))))];
}

type Json = Readonly<Record<string, unknown>>;

async function read(file: string): Promise<{ json: Json; writtenAt: number } | undefined> {
  try {
    const stat = await lstat(file);
    if (!stat.isFile() || stat.size > LARGEST) return undefined;
    const json: unknown = JSON.parse(await readFile(file, 'utf8'));
    return typeof json === 'object' && json !== null ? { json: json as Json, writtenAt: stat.mtimeMs } : undefined;
  } catch {
    return undefined;
  }
}

function tokensOf(kept: Json, writtenAt: number, registered: Json | undefined): IssuedTokens | undefined {
  const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);
  const accessToken = text(kept['access_token']);
  if (accessToken === undefined) return undefined;
  const lifetime = Number(kept['expires_in']);
  const ends = Number(kept['expires_at'] ?? (lifetime > 0 ? writtenAt + lifetime * 1000 : Number.NaN));
  const id = text(registered?.['client_id']);
  return {
    accessToken,
    ...defined({
      refreshToken: text(kept['refresh_token']),
      scope: text(kept['scope']) ?? text(kept['requested_scope']),
      issuer: text(kept['issuer']) ?? text(registered?.['issuer']),
      expiresAt: Number.isFinite(ends) && Math.abs(ends) < 8.64e15 ? new Date(ends) : undefined,
    }),
    ...(id === undefined
      ? {}
      : {
          client: {
            id,
            ...defined({
              secret: text(registered?.['client_secret']),
              authMethod: text(registered?.['token_endpoint_auth_method']),
            }),
          },
        }),
  };
}

/** Without the members that are undefined. */
function defined<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}
