import { parseArgs } from 'node:util';
import { CountersignError, isSensitiveName, Template } from '@countersign/core';

export interface BridgeCommand {
  /** A configured server's name, or a URL. */
  readonly target: string;
  readonly url: URL | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly auth: string | undefined;
  readonly transport: 'streamable-http' | 'sse' | undefined;
  readonly config: string | undefined;
  readonly envFile: string | undefined;
  readonly profile: string | undefined;
  readonly plugins: readonly string[];
  /** Milliseconds. */
  readonly timeout: number | undefined;
  /** Bytes. */
  readonly maxMessage: number | undefined;
  readonly debug: boolean;
  readonly logFile: string | undefined;
}

/** Reads the words of `countersign bridge …`. Throws USAGE, which never repeats a header's value. */
export function parseBridge(words: readonly string[]): BridgeCommand {
  const { values, positionals } = parse(words);
  const [command, target, ...rest] = positionals;
  if (command !== 'bridge' || target === undefined || rest.length > 0)
    throw usage('bridge takes one server, or one URL.');
  const url = /^https?:\/\//i.test(target) ? parseUrl(target) : undefined;
  const headers = Object.fromEntries((values.header ?? []).map(parseHeader));
  if (!url && (values.header || values.auth !== undefined)) {
    throw usage(`--header and --auth go with a URL; those of server ${target} are in the configuration.`);
  }
  return {
    target,
    url,
    headers,
    auth: values.auth,
    transport: values.transport === undefined ? undefined : parseTransport(values.transport),
    config: values.config,
    envFile: values['env-file'],
    profile: values.profile,
    plugins: values.plugin ?? [],
    timeout: amount(values.timeout, '--timeout', 'seconds', 1000),
    maxMessage: amount(values['max-message'], '--max-message', 'MiB', 1_048_576),
    debug: values.debug ?? false,
    logFile: values['log-file'],
  };
}

function parse(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      allowPositionals: true,
      options: {
        header: { type: 'string', multiple: true },
        auth: { type: 'string' },
        transport: { type: 'string' },
        config: { type: 'string' },
        'env-file': { type: 'string' },
        profile: { type: 'string' },
        plugin: { type: 'string', multiple: true },
        timeout: { type: 'string' },
        'max-message': { type: 'string' },
        debug: { type: 'boolean' },
        'log-file': { type: 'string' },
        // Global options that change nothing here: the bridge never asks, and prints nothing but JSON-RPC.
        json: { type: 'boolean' },
        'no-color': { type: 'boolean' },
        'non-interactive': { type: 'boolean' },
      },
    });
  } catch (error) {
    // Node quotes the word at fault, which may be a header that lost its quotes: only an option's name is repeated.
    const option = /'(--?[\w-]+)/.exec((error as Error).message)?.[1];
    throw usage(
      option ? `The option ${option} is unknown to bridge, or lacks its value.` : 'The command line could not be read.',
    );
  }
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || url.username || url.password)
    throw usage('The URL is not one that a bridge can stand before; a name or password in it goes into --header.');
  return url;
}

function parseTransport(text: string): 'streamable-http' | 'sse' {
  const name = text.replaceAll('_', '-').toLowerCase();
  if (name === 'sse') return 'sse';
  if (name === 'streamable-http' || name === 'http') return 'streamable-http';
  throw usage('--transport is streamable-http or sse.');
}

/** R15: a credential is named, never written, on a command line that every process of the machine can read. */
export function parseHeader(text: string): [string, string] {
  const colon = text.indexOf(':');
  const name = text.slice(0, colon).trim();
  const value = text.slice(colon + 1).trim();
  if (colon < 1 || /[^!#$%&'*+\-.^_`|~\w]/.test(name)) throw usage('A header is given as --header "Name: value".');
  // Where each reference has a default, or there is none, what is written here is the credential.
  const isLiteral = new Template(value, `Header ${name}`).references.every(({ fallback }) => fallback !== undefined);
  if (isSensitiveName(name) && isLiteral) {
    const scheme = /^(Bearer|Basic|token)\s/i.exec(value)?.[1];
    throw new CountersignError(
      'USAGE',
      `The value of header ${name} is written out on the command line, where every process can read it.`,
      {
        remedy: `Put it in a variable and name that, in single quotes so that the shell leaves it alone: --header '${name}: ${scheme ? `${scheme} ` : ''}\${TOKEN}'.`,
      },
    );
  }
  return [name, value];
}

function amount(text: string | undefined, option: string, unit: string, factor: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!(value > 0 && value <= 2_000_000)) throw usage(`${option} takes a number of ${unit} greater than 0.`);
  return Math.round(value * factor);
}

function usage(message: string): CountersignError {
  return new CountersignError('USAGE', message, { remedy: 'Run `countersign bridge --help`.' });
}
