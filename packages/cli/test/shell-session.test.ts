import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import bearer from '@countersign/auth-bearer';
import { createCountersign, type Countersign } from '@countersign/core';
import { bearer as verifyBearer, closeEverything, everything, startGuard, type Guard } from '@countersign/test-servers';
import streamableHttp from '@countersign/transport-streamable-http';
import type { Context } from '../src/context.js';
import { createScreen } from '../src/screen.js';
import { endSession } from '../src/sessions.js';
import { shell } from '../src/shell/shell.js';

jest.setTimeout(60_000);

const TOKEN = 'canary-token-4711';

let guard: Guard;
let folder: string;

beforeAll(async () => {
  guard = await startGuard({ target: (await everything()).url, verify: verifyBearer(TOKEN) });
  folder = await mkdtemp(join(tmpdir(), 'countersign-shell-'));
});

afterAll(async () => {
  await guard.close();
  await closeEverything();
  await rm(folder, { recursive: true });
});

/** A shell on a terminal that the test types on and reads. */
async function session() {
  const app = await createCountersign({
    plugins: [bearer, streamableHttp],
    servers: {
      orders: { url: guard.url.href, auth: { method: 'bearer', token: TOKEN } },
      down: { url: 'http://127.0.0.1:9/mcp' },
    },
  });
  const input = new PassThrough();
  const output = new PassThrough();
  const stop = new AbortController();
  let text = '';
  const waiting = new Set<() => void>();
  output.setEncoding('utf8').on('data', (chunk: string) => {
    text += stripVTControlCharacters(chunk);
    for (const look of waiting) look();
  });
  const context = contextOf(app, output, stop.signal);
  const ended = shell(context, { input, output, historyFile: join(folder, 'history') });

  /** Waits for the text in what was written since the last wait, and answers what came before its end. */
  const shows = (wanted: string): Promise<string> =>
    new Promise((resolve) => {
      const look = (): void => {
        const at = text.indexOf(wanted);
        if (at < 0) return;
        waiting.delete(look);
        const before = text.slice(0, at + wanted.length);
        text = text.slice(at + wanted.length);
        resolve(before);
      };
      waiting.add(look);
      look();
    });
  await shows('countersign> ');
  return {
    ended,
    stop: () => stop.abort(new Error('stopped')),
    shows,
    key: (key: string) => input.write(key),
    /** Runs a line, and answers all that it wrote. */
    async run(line: string): Promise<string> {
      input.write(`${line}\n`);
      return shows('\ncountersign> ');
    },
    async close() {
      for (const name of [...context.connections.keys()]) await endSession(context, name);
      await app.close();
    },
  };
}

function contextOf(app: Countersign, output: PassThrough, signal: AbortSignal): Context {
  const sink = { write: (text: string) => output.write(text), isTTY: true, columns: 100 };
  const screen = createScreen({ stdout: sink, stderr: sink, env: {}, color: false, json: false });
  screen.redact = (text) => app.redact(text);
  return {
    options: {},
    address: { options: '' },
    screen,
    signal,
    debug: { enabled: false },
    connections: new Map(),
    app: () => Promise.resolve(app),
    person: undefined,
    loginPerson: () => {
      throw new Error('nobody signs in here');
    },
    readInput: () => Promise.resolve(''),
    releaseOutput: () => undefined,
  };
}

describe('the shell', () => {
  test('connects, runs the verbs, and ends with /quit', async () => {
    const on = await session();
    expect(await on.run('/connections')).toMatch(/^orders +streamable-http +bearer +ready /m);
    expect(await on.run('/tools orders')).toMatch(/^echo +message +Echoes back the input string$/m);
    expect(await on.run(`/call orders echo message='hi there'`)).toContain('Echo: hi there\n');
    expect(await on.run('/call orders echo {"message": "as JSON"}')).toContain('Echo: as JSON\n');
    expect(await on.run('/debug')).toContain('Debug mode enabled\n');
    expect(await on.run('/debug')).toContain('Debug mode disabled\n');
    const headers = await on.run('/headers orders');
    expect(headers).toContain('authorization: Bearer ****\n');
    expect(headers).not.toContain(TOKEN);
    expect(await on.run('/help')).toContain('/whoami');
    expect(await on.run('/nonsense')).toContain('There is no command "/nonsense".');
    expect(await on.run('/call')).toContain('Which server?');
    on.key('/quit\n');
    expect(await on.ended).toBe(0);
    await on.close();
    expect((await readFile(join(folder, 'history'), 'utf8')).split('\n')).toEqual(
      expect.arrayContaining(['/connections', '/quit']),
    );
  });

  test('goes on with the others when a server fails', async () => {
    const on = await session();
    expect(await on.run('/tools')).toMatch(/echo[\s\S]*down\n[^\n]* {2}127\.0\.0\.1:9 could not be reached/);
    on.key('\u0004');
    expect(await on.ended).toBe(0);
    await on.close();
  });

  test('cancels the call with Ctrl-C, and stays', async () => {
    const on = await session();
    const called = guard.nextRequest(
      ({ message }) => (message as { method?: string } | undefined)?.method === 'tools/call',
    );
    const cancelled = guard.nextRequest(
      ({ message }) => (message as { method?: string } | undefined)?.method === 'notifications/cancelled',
    );
    on.key('/call orders trigger-long-running-operation duration=60 steps=2\n');
    await called;
    on.key('\u0003');
    await on.shows('Cancelled.\ncountersign> ');
    await cancelled;
    expect(await on.run('/call orders echo message=still')).toContain('Echo: still\n');
    on.key('/quit\n');
    await on.ended;
    await on.close();
  });

  test('opens a new session with /refresh, and ends the old one', async () => {
    const on = await session();
    const ended = guard.nextRequest(({ method }) => method === 'DELETE');
    expect(await on.run('/refresh orders')).toMatch(/^orders +streamable-http +bearer +ready /m);
    await ended;
    on.key('/quit\n');
    await on.ended;
    await on.close();
  });

  test('shows notifications as they come, and keeps what is being typed', async () => {
    const on = await session();
    on.key('/call orders toggle-simulated-logging\n');
    await on.shows('Started simulated');
    await on.shows('\ncountersign> ');
    on.key('/call or');
    expect(await on.shows('countersign> /call or')).toMatch(/orders: \w+: .*[Ll]evel/);
    on.key('ders echo message=typed\n');
    await on.shows('Echo: typed\n');
    on.key('/quit\n');
    await on.ended;
    await on.close();
  });

  test('completes commands, servers, tools and the keys of their arguments', async () => {
    const on = await session();
    for (const [typed, completed] of [
      ['/cal', '/call '],
      ['ord', 'orders '],
      ['get-su', 'get-sum '],
    ] as const) {
      for (const key of typed) on.key(key);
      on.key('\t');
      await on.shows(completed.slice(typed.length));
    }
    on.key('\t');
    on.key('\t');
    await on.shows('a=');
    await on.shows('b=');
    on.key('\u0003');
    on.key('/quit\n');
    await on.ended;
    await on.close();
  });

  test('remembers the lines of the last session', async () => {
    const on = await session();
    on.key('\u001b[A');
    on.key('\u001b[A');
    await on.shows('countersign> /quit'); // the newest is the last test's
    on.stop();
    expect(await on.ended).toBe(0);
    await on.close();
  });
});
