import { Command, InvalidArgumentError, Option } from 'commander';
import type { RunCommand } from './context.js';
import { version } from './version.js';

/** One command line, parsed: what to load and run, and with what. */
export interface Invocation {
  readonly load: () => Promise<{ readonly run: RunCommand }>;
  readonly words: readonly string[];
  readonly options: Readonly<Record<string, unknown>>;
  /** The server that the command is about, where it names one. */
  readonly server?: string | undefined;
}

interface CommandText {
  /** As commander reads it: "call <server> <tool> [arguments...]". */
  readonly usage: string;
  readonly does: string;
  readonly examples: readonly string[];
  readonly options?: readonly (readonly [flags: string, does: string, repeated?: 'repeated'])[];
  readonly load: Invocation['load'];
}

const COMMANDS: readonly CommandText[] = [
  {
    usage: 'connections [server...]',
    does: 'connect, and show a row for each server: state, protocol, capabilities, latency, credential',
    examples: ['connections', 'connections orders search', 'connections --json'],
    load: () => import('./commands/connections.js'),
  },
  {
    usage: 'tools <server>',
    does: "list the server's tools",
    examples: ['tools orders', 'tools orders --json'],
    load: () => import('./commands/tools.js'),
  },
  {
    usage: 'call <server> <tool> [arguments...]',
    does: 'call a tool with key=value arguments, one JSON object, or - for the object on stdin',
    examples: [
      'call orders echo message=hi',
      `call orders echo '{"message": "hi"}'`,
      'call orders add a=2 b:=3',
      'call orders echo - < arguments.json',
    ],
    load: () => import('./commands/call.js'),
  },
  {
    usage: 'resources <server>',
    does: "list the server's resources",
    examples: ['resources orders'],
    load: () => import('./commands/resources.js'),
  },
  {
    usage: 'read <server> <uri>',
    does: 'read a resource',
    examples: ['read orders demo://resource/static/document/features.md'],
    load: () => import('./commands/read.js'),
  },
  {
    usage: 'prompts <server>',
    does: "list the server's prompts",
    examples: ['prompts orders'],
    load: () => import('./commands/prompts.js'),
  },
  {
    usage: 'prompt <server> <prompt> [arguments...]',
    does: 'get a prompt, filled in with key=value arguments',
    examples: ['prompt orders args-prompt city=Oslo'],
    load: () => import('./commands/prompt.js'),
  },
  {
    usage: 'login <server>',
    does: 'sign in and keep the credential; --timeout bounds the wait (300 s by default)',
    examples: [
      'login orders',
      'login orders --no-browser',
      'login orders --device',
      'login https://mcp.example.com/mcp',
    ],
    options: [
      ['--no-browser', 'print the URL only, and take the pasted callback URL'],
      ['--device', 'sign in with a code on another device'],
    ],
    load: () => import('./commands/login.js'),
  },
  {
    usage: 'logout <server>',
    does: 'forget the sign-in',
    examples: ['logout orders'],
    load: () => import('./commands/logout.js'),
  },
  {
    usage: 'whoami [server]',
    does: 'show who the credential is: claims, scopes, expiry; never the secret',
    examples: ['whoami orders', 'whoami --json'],
    load: () => import('./commands/whoami.js'),
  },
  {
    usage: 'headers <server>',
    does: 'show the headers that a request carries now, masked; nothing is sent to the server',
    examples: ['headers orders', 'headers orders --curl --reveal'],
    options: [
      ['--reveal', 'show the credentials'],
      ['--curl', 'print the curl command that tries them'],
    ],
    load: () => import('./commands/headers.js'),
  },
  {
    usage: 'check',
    does: 'validate the configuration and report what is unsafe in it, without the network',
    examples: ['check', 'check --strict --json'],
    options: [['--strict', 'exit 2 on warnings too']],
    load: () => import('./commands/check.js'),
  },
  {
    usage: 'providers',
    does: 'list installed providers, transports, stores, and the variables they compute',
    examples: ['providers', 'providers --json'],
    load: () => import('./commands/providers.js'),
  },
  {
    usage: 'import <program> [server]',
    does: "take over the sign-ins of another program, once: mcp-remote's",
    examples: [
      'import mcp-remote',
      'import mcp-remote orders',
      'import mcp-remote https://mcp.example.com/mcp --resource https://mcp.example.com',
    ],
    options: [
      ['--resource <uri>', 'the --resource that mcp-remote was started with'],
      ['--header <header>', 'a --header that mcp-remote was started with; may be repeated', 'repeated'],
      [
        '--authorize-param <key=value>',
        'an --authorize-param that mcp-remote was started with; may be repeated',
        'repeated',
      ],
    ],
    load: () => import('./commands/import.js'),
  },
  {
    usage: 'schema',
    does: 'print the JSON Schema of a configuration, for editors',
    examples: ['schema > countersign.schema.json'],
    load: () => import('./commands/schema.js'),
  },
];

/** The commander program. It runs nothing: `chosen` is told what to run, and `print` gets the help. Throws commander's errors, and prints none of them. */
export function createProgram(chosen: (invocation: Invocation) => void, print: (text: string) => void): Command {
  const program = new Command('countersign')
    .configureOutput({
      writeOut: print,
      outputError: () => undefined,
      getOutHelpWidth: () => process.stdout.columns || 80,
    })
    .description(
      'Connects to MCP servers that ask for authentication, shows and debugs it, and bridges stdio clients to them.',
    )
    .version(version, '-V, --version')
    .option(
      '--config <file>',
      'the configuration (default: $COUNTERSIGN_CONFIG, else config.json in your configuration folder)',
    )
    .option(
      '--env-file <file>',
      'variables for the configuration (default: .env beside it, else in the working folder)',
    )
    .option(
      '--auth <method>',
      'how to authenticate to a server that is given by its URL in place of a name (default: oauth; of the bridge: none)',
    )
    .option('--profile <name>', 'the account to use where a server has several')
    .option(
      '--plugin <package>',
      'a plugin to load besides those that the configuration names; may be repeated',
      collect,
    )
    .option('--json', 'print one JSON document, errors too')
    .option('--debug', 'log what happens on stderr, without secrets')
    .option('--no-color', 'no colours (as NO_COLOR)')
    .option('--timeout <seconds>', "replaces every server's timeout", seconds)
    .option('--non-interactive', 'never ask a person: fail with LOGIN_REQUIRED instead')
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false, minWidthToWrap: 20 })
    .exitOverride()
    .usage('[options] [command]')
    .argument('[command...]')
    .addHelpText('after', examples(['', 'call orders echo message=hi', 'bridge orders', 'check --strict']))
    .action(([name]: readonly string[]) => {
      // Commander's own, which knows the nearest name: a program with a default action never comes to it by itself.
      if (name !== undefined) (program as Command & { unknownCommand(): never }).unknownCommand();
      chosen({ load: () => import('./commands/default.js'), words: [], options: {} });
    });
  for (const { usage, does, examples: lines, options = [], load } of COMMANDS) {
    const command = program.command(usage).description(does).addHelpText('after', examples(lines));
    for (const [flags, text, repeated] of options) {
      const option = new Option(flags, text);
      command.addOption(repeated ? option.argParser(collect) : option);
    }
    const server = usage.split(' ').findIndex((word) => /^[<[]server[>\]]$/.test(word)) - 1;
    command.action(() =>
      chosen({
        load,
        words: command.args,
        options: command.opts(),
        server: command.args[server],
      }),
    );
  }
  program
    .command('bridge <server-or-url>')
    .description('a stdio MCP server in front of a remote one, for clients that speak only stdio')
    // For the help only: bridge-options.ts reads them, before and instead of this.
    .option('--header <header>', 'with a URL: a header, "Name: ${VARIABLE}"; may be repeated')
    .option('--transport <name>', 'streamable-http or sse; found out by default')
    .option('--max-message <MiB>', 'the largest message, either way (default: 32)')
    .option('--log-file <file>', 'log what happens in a file that only you can read, without secrets')
    .addHelpText(
      'after',
      examples([
        'bridge orders --config /home/me/mcp.json',
        'bridge https://mcp.example.com/mcp --auth oauth',
        `bridge https://mcp.example.com/mcp --header 'X-Api-Key: \${KEY}'`,
      ]),
    )
    .allowUnknownOption();
  return program;
}

const collect = (value: string, values: readonly string[] = []): readonly string[] => [...values, value];

function seconds(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 2_000_000)) throw new InvalidArgumentError('Give a number of seconds greater than 0.');
  return value;
}

const examples = (lines: readonly string[]): string =>
  `\nExamples:\n${lines.map((line) => `  $ countersign ${line}`.trimEnd()).join('\n')}`;
