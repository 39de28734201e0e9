import { readFile, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { promisify } from 'node:util';
import { CountersignError, isCountersignError } from './errors.js';
import { parseJsonText } from './json-text.js';
import { ownSettings, serverEntry, type ServerEntry } from './configuration-schema.js';
import { explain } from './schema.js';

/** One entry of a server's `auth`. */
export interface AuthEntry {
  readonly method: string;
  readonly options: Readonly<Record<string, unknown>>;
}

/** A server as configured, before anything of it is resolved. */
export interface ServerConfiguration {
  readonly name: string;
  /** What is wrong with the entry; such a server fails alone. */
  readonly fault?: CountersignError;
  /** "streamable-http", "sse", "stdio" or a plugin's; `explicit` when the entry names it. */
  readonly transport: string;
  readonly explicit: boolean;
  readonly auth: readonly AuthEntry[];
  /** The entry's fields under their own names. */
  readonly entry: ServerEntry;
  /** The entry as it stands in the file, for a transport's own fields. */
  readonly raw: Readonly<Record<string, unknown>>;
}

/** A configuration as read, whatever its shape. */
export interface Configuration {
  /** Absolute; undefined for one that was passed as an object. */
  readonly file: string | undefined;
  /** Where relative paths start. */
  readonly folder: string;
  readonly servers: ReadonlyMap<string, ServerConfiguration>;
  readonly plugins: readonly string[];
  readonly allowInsecureHttp: readonly string[];
  readonly allowedOrigins: readonly string[];
}

/** Reads a configuration file. Throws CONFIG_NOT_FOUND or CONFIG_INVALID; what concerns one server is that server's `fault`. */
export async function readConfiguration(file: string): Promise<Configuration> {
  const path = resolve(file);
  let text: string;
  try {
    if (!statSync(path).isFile()) throw new Error('not a regular file');
    text = await promisify(readFile)(path, 'utf8');
  } catch (error) {
    throw new CountersignError(
      'CONFIG_NOT_FOUND',
      `The configuration ${path} can't be read (${(error as { code?: string }).code ?? (error as Error).message}).`,
      { cause: error },
    );
  }
  return { ...toConfiguration(parseJsonText(text, path), path), file: path, folder: dirname(path) };
}

/** Accepts a bare map of servers, one under `mcpServers`, and VS Code's `servers`; settings of Countersign's own stand under `countersign`. */
export function toConfiguration(value: unknown, subject = 'The configuration'): Configuration {
  if (!isRecord(value)) throw new CountersignError('CONFIG_INVALID', `${subject} is not an object with servers in it.`);
  const settings = explain(
    ownSettings,
    value['countersign'] ?? {},
    (problem) => new CountersignError('CONFIG_INVALID', `${subject}: "countersign" ${problem}.`),
  );
  const wrapper = value['mcpServers'] ?? (looksLikeServer(value['servers']) ? undefined : value['servers']);
  if (wrapper !== undefined && !isRecord(wrapper))
    throw new CountersignError('CONFIG_INVALID', `${subject}: the servers are not an object.`);
  const entries = wrapper
    ? Object.entries(wrapper)
    : Object.entries(value).filter(([name, entry]) => name !== 'countersign' && looksLikeServer(entry));
  const servers = new Map<string, ServerConfiguration>();
  for (const [name, entry] of entries)
    servers.set(name, toServer(name, isRecord(entry) ? { ...settings.defaults, ...entry } : entry, subject));
  if (servers.size === 0 && !wrapper)
    throw new CountersignError('CONFIG_INVALID', `${subject} names no server.`, {
      remedy: 'Add one: { "mcpServers": { "name": { "url": "https://…/mcp" } } }.',
    });
  return {
    file: undefined,
    folder: process.cwd(),
    servers,
    plugins: settings.plugins ?? [],
    allowInsecureHttp: settings.allowInsecureHttp ?? [],
    allowedOrigins: settings.allowedOrigins ?? [],
  };
}

function toServer(name: string, raw: unknown, subject: string): ServerConfiguration {
  const nothing = { name, transport: 'unknown', explicit: false, auth: [], entry: {}, raw: {} };
  try {
    const fail = (problem: string): CountersignError =>
      new CountersignError('CONFIG_INVALID', `${subject}: server ${JSON.stringify(name.slice(0, 80))} ${problem}.`, {
        server: name,
      });
    // eslint-disable-next-line no-control-regex -- that is what is refused
    if (name.length === 0 || name.length > 128 || /[\u0000-\u001f\u007f]/.test(name))
      throw fail('has a name that is empty, longer than 128 characters or not printable');
    if (!isRecord(raw)) throw fail('is not an object');
    const entry = explain(serverEntry, raw, fail);
    const named = entry.transport_type ?? entry.type ?? entry.transport;
    const inferred = entry.url !== undefined ? 'streamable-http' : entry.command !== undefined ? 'stdio' : undefined;
    const transport = named === undefined ? inferred : canonicalTransport(named);
    if (!transport) throw fail('has neither "url" nor "command"');
    if ((transport === 'streamable-http' || transport === 'sse') && entry.url === undefined)
      throw fail(`is ${transport} and has no "url"`);
    if (transport === 'stdio' && entry.command === undefined) throw fail('is stdio and has no "command"');
    return { name, transport, explicit: named !== undefined, auth: authEntries(entry, fail), entry, raw };
  } catch (error) {
    if (!isCountersignError(error)) throw error;
    return { ...nothing, fault: error };
  }
}

/** `streamable_http`, `streamable-http`, `streamableHttp` and `http` are one. */
export function canonicalTransport(type: string): string {
  const name = type.replaceAll('_', '-').toLowerCase();
  return name === 'http' || name === 'streamablehttp' ? 'streamable-http' : name;
}

/** `headers` beside `url` is short for an entry of method `headers`; it comes first. */
function authEntries(entry: ServerEntry, fail: (problem: string) => CountersignError): AuthEntry[] {
  const list = entry.auth === undefined ? [] : Array.isArray(entry.auth) ? entry.auth : [entry.auth];
  const entries = list.map((item): AuthEntry => {
    const { method, type, ...options } = item as Record<string, unknown>;
    const name = method ?? type;
    if (typeof name !== 'string') throw fail('has an "auth" without a "method"');
    if (method !== undefined && type !== undefined) throw fail('has an "auth" with both "method" and "type"');
    return { method: name.replaceAll('_', '-'), options };
  });
  const headers =
    entry.headers && Object.keys(entry.headers).length > 0
      ? [{ method: 'headers', options: { headers: entry.headers } }]
      : [];
  return [...headers, ...entries.filter(({ method }) => method !== 'none')];
}

function looksLikeServer(value: unknown): boolean {
  return (
    isRecord(value) &&
    ['url', 'command', 'transport_type', 'transport', 'type'].some((field) => typeof value[field] === 'string')
  );
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
