import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import {
  CountersignError,
  PendingRequests,
  visibleText,
  type JsonRpcMessage,
  type Transport,
  type TransportServices,
} from '@countersign/core';
import { endGroup, watchGroup } from './child-process.js';
import { inheritedEnvironment } from './inherited-environment.js';
import { LastLines } from './last-lines.js';
import { LineReader } from './line-reader.js';
import type { StdioOptions } from './options.js';

const LOGGED_BYTES = 65_536; // of stderr, with --debug
const DRAIN = 200; // milliseconds for the last bytes of a process that has ended; a child of its own may hold the pipes open

/**
 * MCP's stdio transport (2025-11-25, Transports): one child process, in a process group of its own, with a line of JSON for each message.
 * Every request is answered: by the server, or with SERVER_EXITED or TIMEOUT. `close` leaves nothing of the group behind.
 */
export class StdioTransport implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: (message: JsonRpcMessage) => void;
  readonly #options: StdioOptions;
  readonly #services: TransportServices;
  readonly #pending: PendingRequests;
  readonly #stderr = new LastLines();
  #child: ChildProcess | undefined;
  #logged = 0;
  #ended: CountersignError | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: StdioOptions, services: TransportServices) {
    this.#options = options;
    this.#services = services;
    this.#pending = new PendingRequests({
      server: services.server.name,
      timeout: services.timeouts.request,
      answer: (message) => this.#deliver(message),
      explain: ({ method }) => (method === 'initialize' ? this.#lastWords() : undefined),
      timedOut: ({ id, method }) => {
        if (method !== 'initialize')
          void this.send({
            jsonrpc: '2.0',
            method: 'notifications/cancelled',
            params: { requestId: id, reason: 'timeout' },
          }).catch(() => {});
      },
    });
  }

  /** Renders the environment and starts the process. Throws UNREACHABLE when it cannot be started. */
  async start(): Promise<void> {
    const { command, args, cwd: folder } = this.#options;
    const cwd = folder === undefined ? undefined : this.#services.path(folder);
    const [env, { default: spawn }] = await Promise.all([this.#services.env(), import('cross-spawn')]);
    if (this.#ended) throw this.#ended;
    // detached: a process group, so that what the server starts can be ended with it, and the terminal's Ctrl-C is not for it.
    const detached = process.platform !== 'win32';
    const child = this.#spawn(() =>
      spawn(command, args, {
        env: { ...inheritedEnvironment(), ...env },
        cwd,
        stdio: 'pipe',
        detached,
        windowsHide: true,
      }),
    );
    this.#child = child;
    if (child.pid !== undefined) watchGroup(child.pid);
    this.#read(child);
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.on('error', (error) => reject(this.#cannotStart(error, cwd)));
    });
  }

  /** Sends one message. Resolves when the process has taken it. */
  async send(message: JsonRpcMessage): Promise<void> {
    if (this.#ended) throw this.#ended;
    if (!this.#child) throw this.#closedError('is not started');
    const { stdin } = this.#child;
    if (message.method === 'notifications/cancelled')
      this.#pending.drop((message['params'] as { requestId?: unknown } | undefined)?.requestId);
    const request = this.#pending.begin(message);
    if (request) this.#pending.startTime(request);
    await new Promise<void>((resolve, reject) => {
      stdin!.write(`${JSON.stringify(message)}\n`, (error) => {
        if (error && !request) return reject(this.#ended ?? error);
        if (error) this.#endSoon('closed its stdin'); // unless it is ending already, and its exit answers the request
        resolve();
      });
    });
  }

  /** Ends the process and all of its group, within two seconds; what is pending is answered with an error. */
  close(): Promise<void> {
    return (this.#closing ??= this.#end(this.#closedError('was closed')));
  }

  #spawn(spawn: () => ChildProcess): ChildProcess {
    try {
      return spawn();
    } catch (error) {
      // Node's message quotes the value, which may be a secret.
      const { name } = this.#services.server;
      throw new CountersignError(
        'CONFIG_INVALID',
        `Server ${name} cannot be started: its command, an argument or a variable of "env" holds a NUL character (${(error as NodeJS.ErrnoException).code}).`,
        { server: name },
      );
    }
  }

  #read(child: ChildProcess): void {
    const lines = new LineReader({
      maxLength: this.#options.maxMessageSize,
      onLine: (line) => this.#receive(line),
      onTooLong: (start, end) => this.#refuse(start, end),
    });
    child.stdout!.on('data', (chunk: Buffer) => lines.push(chunk));
    child.stderr!.on('data', (chunk: Buffer) => this.#hear(chunk));
    for (const stream of [child.stdin!, child.stdout!, child.stderr!]) stream.on('error', () => {}); // told by the exit
    child.stdout!.once('end', () => this.#endSoon('closed its stdout'));
    child.once('exit', (code, signal) => void this.#exited(child, code, signal));
  }

  #hear(chunk: Buffer): void {
    this.#stderr.push(chunk);
    if (this.#logged > LOGGED_BYTES) return;
    this.#logged += chunk.length;
    this.#services.log.debug(
      `${this.#services.server.name} (stderr): ${visibleText(chunk.toString('utf8', 0, LOGGED_BYTES).trimEnd())}`,
    );
  }

  async #exited(child: ChildProcess, code: number | null, signal: string | null): Promise<void> {
    if (this.#closing) return;
    await Promise.race([new Promise((resolve) => child.once('close', resolve)), delay(DRAIN)]);
    await this.#endBecause(signal === null ? `ended with code ${code}` : `ended by ${signal}`);
  }

  /** A server that can be talked to no more is ended, after the time that its own exit may take to be told. */
  #endSoon(fact: string): void {
    setTimeout(() => void this.#endBecause(fact), 2 * DRAIN).unref();
  }

  #endBecause(fact: string): Promise<void> {
    const { name } = this.#services.server;
    const command = visibleText(this.#options.command);
    const message = (): string => `Server ${name} (${command}) ${fact}. ${this.#lastWords()}`;
    return (this.#closing ??= this.#end(new CountersignError('SERVER_EXITED', message(), { server: name })));
  }

  async #end(reason: CountersignError): Promise<void> {
    this.#ended = reason;
    this.#pending.failAll(reason);
    if (reason.code === 'SERVER_EXITED') this.onerror?.(reason);
    const child = this.#child;
    if (child) {
      await endGroup(child);
      for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.destroy();
    }
    this.onclose?.();
  }

  #receive(line: string): void {
    if (line.trim() === '') return;
    let message: JsonRpcMessage;
    try {
      message = JSON.parse(line) as JsonRpcMessage;
      if (typeof message !== 'object' || message === null) throw new SyntaxError('not a message');
    } catch {
      return this.#report(
        `wrote something else than a message to stdout: ${visibleText(this.#services.redact(line.slice(0, 2_000)).slice(0, 200))}`,
      );
    }
    for (const one of Array.isArray(message) ? (message as JsonRpcMessage[]) : [message]) this.#take(one);
  }

  #take(message: JsonRpcMessage): void {
    const accepted = this.#pending.accept(message);
    if (accepted) this.#deliver(accepted);
    else this.#report('sent an answer that nobody waits for');
  }

  /** A message beyond the cap is passed over; the request that it answers, where that can be seen, is told. */
  #refuse(start: string, end: string): void {
    const { server } = this.#services;
    const error = new CountersignError(
      'TOO_LARGE',
      `Server ${server.name} sent a message of more than ${this.#options.maxMessageSize} bytes.`,
      { server: server.name, remedy: 'Ask the server for less at a time, or raise "maxMessageSize".' },
    );
    const id =
      /^\{\s*"jsonrpc":\s*"2\.0",\s*"id":\s*(\d+|"[^"\\]*")/.exec(start)?.[1] ??
      /"id":\s*(\d+|"[^"\\]*")\s*\}\s*$/.exec(end)?.[1];
    const request = id === undefined ? undefined : this.#pending.find(JSON.parse(id));
    if (request) this.#pending.fail(request, error);
    else this.onerror?.(error);
  }

  #deliver(message: JsonRpcMessage): void {
    try {
      this.onmessage?.(message);
    } catch (error) {
      this.onerror?.(error as Error);
    }
  }

  #report(fact: string): void {
    const { name } = this.#services.server;
    this.onerror?.(new CountersignError('SERVER_ERROR', `Server ${name} ${fact}.`, { server: name }));
  }

  #closedError(fact: string): CountersignError {
    const { name } = this.#services.server;
    return new CountersignError('ABORTED', `The connection to server ${name} ${fact}.`, { server: name });
  }

  #lastWords(): string {
    const lines = this.#stderr.shown(this.#services.redact);
    return lines.length === 0
      ? 'It wrote nothing to stderr.'
      : `Its last lines on stderr:\n${lines.map((line) => `  ${line}`).join('\n')}`;
  }

  #cannotStart(cause: NodeJS.ErrnoException, cwd: string | undefined): CountersignError {
    const { name } = this.#services.server;
    const command = visibleText(this.#options.command);
    const fail = (fact: string, remedy: string): CountersignError =>
      new CountersignError('UNREACHABLE', `Server ${name} cannot be started: ${fact}.`, {
        cause,
        server: name,
        remedy,
      });
    if (cwd !== undefined && !existsSync(cwd))
      return fail(`its working folder ${visibleText(cwd)} does not exist`, 'Correct "cwd".');
    if (cause.code === 'ENOENT')
      return fail(`there is no command ${command}`, 'Install it, or give its whole path in "command".');
    return fail(`${command} does not start (${cause.code ?? cause.message})`, 'Run the command by hand to see why.');
  }
}
