// The entry of `countersign bridge`, loaded before and instead of the rest.
import { readFileSync, statSync } from 'node:fs';
import { runBridge, watchProcess } from '@countersign/bridge';
import {
  CountersignError,
  createCountersign,
  fileStore,
  loadPlugins,
  storeDirectory,
  visibleText,
  type Countersign,
  type Log,
  type ServerSummary,
} from '@countersign/core';
import { bridgeLog } from './bridge-log.js';
import { parseBridge, type BridgeCommand } from './bridge-options.js';
import { pluginsFor } from './bridge-plugins.js';
import { configPath } from './config-path.js';
import { exitCode } from './exit-code.js';
import { failure } from './failure.js';

/** Milliseconds that a request may take when nobody has said: tools may be slow, and the client has its own deadline. */
const DEFAULT_TIMEOUT = 300_000;
const CLOSING = 200;
const LONGEST = 1900;

const stdout = guardStdout();
let redact = (text: string): string => text;
// Not awaited at the top: the bundle is CommonJS, which starts sooner.
void main()
  .catch((error: unknown) => {
    const { code, message, remedy } = failure(error);
    process.stderr.write(`error ${visibleText(redact(message))}\n  ${visibleText(redact(remedy))}\n`);
    return exitCode(code);
  })
  .then((code) => process.exit(code));

async function main(): Promise<number> {
  const watch = watchProcess();
  // Whatever hangs, a plugin's load or a provider: the process ends in two seconds (R20).
  watch.signal.addEventListener('abort', () => setTimeout(() => process.exit(watch.exitCode), LONGEST));
  const command = parseBridge(process.argv.slice(2));
  const write = bridgeLog(command.debug, command.logFile);
  const log = {
    quiet: !command.debug && command.logFile === undefined,
    debug: (message: string) => {
      if (!log.quiet) write('debug', redact(message));
    },
    warn: (message: string) => write('warn', redact(message)),
  };
  // Told once the instance knows what to hide: plugins may fail while they load.
  const opened = open(command, log).then((app) => {
    redact = (text) => app.redact(text);
    return app;
  });
  const unheard = (error: unknown): void =>
    void opened.then(
      () => log.warn(`Something failed unheard: ${failure(error).message}`),
      () => undefined,
    );
  process.on('unhandledRejection', unheard);
  process.on('uncaughtException', unheard);
  setTimeout(keepYoungSpaceSmall, 500).unref();
  const app = await opened;
  const server = serverOf(app, command);
  await runBridge({
    exchange: app.exchange(server.name),
    url: server.url,
    name: server.name,
    stdin: process.stdin,
    stdout,
    transport: command.transport ?? (server.transport === 'sse' ? 'sse' : undefined),
    timeout: server.timeoutIsDefault ? DEFAULT_TIMEOUT : server.timeout,
    idle: server.idle,
    maxMessage: command.maxMessage,
    login: loginCommand(command),
    credential: storeTime,
    signal: watch.signal,
    log,
    redact,
  });
  await Promise.race([app.close(), new Promise((resolve) => setTimeout(resolve, CLOSING))]);
  return watch.exitCode;
}

async function open(command: BridgeCommand, log: Log): Promise<Countersign> {
  const { envFile, profile, timeout, plugins } = command;
  const source = sourceOf(command);
  const text = 'configFile' in source ? readText(source.configFile) : JSON.stringify(source.servers);
  return createCountersign({
    ...source,
    plugins: [...(await pluginsFor(text)), ...(await loadPlugins(plugins, process.cwd(), import.meta.url))],
    ...(envFile === undefined ? {} : { envFile }),
    ...(profile === undefined ? {} : { profile }),
    ...(timeout === undefined ? {} : { timeout }),
    pluginsFallback: import.meta.url,
    store: fileStore({ memoryFallback: true, log }),
    log,
  });
}

function sourceOf({
  url,
  headers,
  auth,
  config,
}: BridgeCommand): { configFile: string } | { servers: Record<string, unknown> } {
  if (!url || config !== undefined)
    return { configFile: configPath({ named: config, env: process.env, cwd: process.cwd() }) };
  const entry = {
    url: url.href,
    ...(Object.keys(headers).length > 0 ? { headers } : {}),
    ...(auth === undefined ? {} : { auth: { method: auth } }),
  };
  return { servers: { mcpServers: { [url.host]: entry } } };
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // what is wrong with the file is told by whoever reads it for its servers
  }
}

/** The server to stand before. Throws UNKNOWN_SERVER, or USAGE for a server that has no URL. */
function serverOf(app: Countersign, { target, url, config }: BridgeCommand): ServerSummary & { url: URL } {
  const server = app.servers.find((one) => (url ? one.url?.href === url.href : one.name === target));
  if (!server) {
    const names = app.servers.map(({ name }) => name).join(', ') || 'none';
    throw new CountersignError(
      'UNKNOWN_SERVER',
      url
        ? `${config} has no server with that URL.`
        : `The configuration has no server ${JSON.stringify(target.slice(0, 80))}; it has ${names}.`,
    );
  }
  if (!server.url) {
    throw new CountersignError(
      'USAGE',
      `Server ${server.name} is ${server.transport}: a client can start it by itself, without a bridge.`,
      { server: server.name },
    );
  }
  return { ...server, url: server.url };
}

/** What a person types to sign in to just this server. */
function loginCommand({ target, auth, config, profile }: BridgeCommand): string {
  const words = ['countersign login', target];
  if (auth !== undefined && auth !== 'oauth') words.push('--auth', auth);
  if (config !== undefined) words.push('--config', /^[\w./:\\~-]+$/.test(config) ? config : JSON.stringify(config));
  if (profile !== undefined) words.push('--profile', profile);
  return words.join(' ');
}

/** Differs when a record of the store was written: its folder's time is all that is asked for. */
function storeTime(): number {
  return statSync(storeDirectory(), { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/**
 * V8's space for young objects doubles under load, to three times 16 MB that a bridge has no use for and that stay with a desktop for days. From here
 * on it keeps the size that it has; that costs no measurable time. After the start, so that the start needn't load node:v8.
 */
function keepYoungSpaceSmall(): void {
  process.getBuiltinModule('node:v8').setFlagsFromString('--semi-space-growth-factor=1');
}

/** stdout is the protocol's alone (R19): what anything else writes there goes to stderr. */
function guardStdout(): NodeJS.WriteStream {
  const { stdout, stderr } = process;
  Object.defineProperty(process, 'stdout', { value: stderr, configurable: true }); // console looks here at its first use
  return stdout;
}
