import { mkdtemp, realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import process from 'node:process';
import { afterEach, describe, expect, test } from '@jest/globals';
import { findCountersignError } from '@countersign/core';
import { createUvx, everythingCommand } from '@countersign/test-servers';
import { LoggingMessageNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { closeAll, connect, isAlive, scripted } from './connect.js';

afterEach(closeAll);

const failure = (promise: Promise<unknown>): Promise<Error> =>
  promise.then(
    () => Promise.reject(new Error('It did not fail.')),
    (error: unknown) => error as Error,
  );

describe('a stdio server', () => {
  test('lists and calls, as server-everything shows', async () => {
    const { client, call, close, errors } = await connect(
      { ...everythingCommand(), env: { GREETING: '${GREETING}' } },
      { env: { GREETING: 'hello' } },
    );
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('echo');
    const echoes = await Promise.all(
      Array.from({ length: 50 }, (_, index) => call('echo', { message: `hi ${index}` })),
    );
    expect(echoes).toEqual(echoes.map((_, index) => `Echo: hi ${index}`));
    await close();
    expect(errors).toEqual([]);
  }, 20_000);

  test('gets the allowed variables and the rendered ones, and no other', async () => {
    process.env['COUNTERSIGN_TEST_CANARY'] = 'canary-1234';
    const { call, close } = await connect(scripted('', { env: { TOKEN: 'is ${TOKEN}', PLAIN: 'x' } }), {
      env: { TOKEN: 'rendered-1234' },
    });
    const env = JSON.parse(await call('environment')) as Record<string, string>;
    await close();
    delete process.env['COUNTERSIGN_TEST_CANARY'];
    const allowed = ['HOME', 'LOGNAME', 'PATH', 'SHELL', 'TERM', 'USER'].filter(
      (name) => process.env[name] !== undefined,
    );
    expect(Object.keys(env).sort()).toEqual([...allowed, 'PLAIN', 'TOKEN'].sort());
    expect(env).toMatchObject({ TOKEN: 'is rendered-1234', PLAIN: 'x', PATH: process.env['PATH'] });
  });

  test('is not started when a variable has no value', async () => {
    await expect(connect(scripted('', { env: { TOKEN: '${NOPE}' } }))).rejects.toMatchObject({
      code: 'UNRESOLVED_VARIABLE',
    });
  });

  test('runs in its working folder', async () => {
    const folder = await realpath(await mkdtemp(join(tmpdir(), 'countersign-cwd-')));
    const { call, close } = await connect(scripted('', { cwd: folder }));
    expect(await call('folder')).toBe(folder);
    await close();
    await expect(connect(scripted('', { cwd: join(folder, 'nowhere') }))).rejects.toMatchObject({
      code: 'UNREACHABLE',
      message: expect.stringContaining('nowhere does not exist') as unknown,
    });
  });

  test('is found on PATH: uvx, which runs the filesystem server', async () => {
    const { folder, close: remove } = await createUvx();
    const entry = {
      transport_type: 'stdio',
      command: 'uvx',
      args: ['mcp-server-filesystem', '/tmp'],
      env: { PATH: `${folder}${delimiter}${process.env['PATH']}` },
    };
    const { client, close } = await connect(entry);
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('list_directory');
    await close();
    await remove();
  }, 20_000);

  test('that does not exist is named, with what to do', async () => {
    const error = await failure(connect({ command: 'no-such-command-of-ours' }));
    expect(error).toMatchObject({
      code: 'UNREACHABLE',
      message: 'Server local cannot be started: there is no command no-such-command-of-ours.',
      remedy: 'Install it, or give its whole path in "command".',
    });
  });

  test('whose environment holds a NUL is refused without the value', async () => {
    const error = await failure(
      connect(scripted('', { env: { TOKEN: '${TOKEN}' } }), { env: { TOKEN: 'secret\u0000-canary' } }),
    );
    expect(error.message).not.toContain('canary');
    expect(error).toMatchObject({ code: expect.stringMatching(/CONFIG_INVALID|INVALID/) as unknown });
  });
});

describe('a server that ends', () => {
  test('at once fails the connection with its code and its last lines, escaped', async () => {
    const error = await failure(connect(scripted('exit-at-once')));
    const found = findCountersignError(error);
    expect(found?.code).toBe('SERVER_EXITED');
    expect(found?.message).toContain('ended with code 3.');
    expect(found?.message).toContain('Fatal: no \\u001b[31mdatabase');
    expect(error.message).not.toContain('\u001b');
  });

  test('does not give away what it was given', async () => {
    const env = { TOKEN: '${TOKEN}', API_KEY: 'written-into-the-file', LEVEL: 'harmless-level' };
    const error = await failure(connect(scripted('tell-and-exit', { env }), { env: { TOKEN: 'canary-1234-5678' } }));
    expect(error.message).toContain('[redacted] [redacted] harmless-level');
    expect(JSON.stringify([error, findCountersignError(error)?.message])).not.toMatch(/canary|written-into/);
  });

  test('fails all that is pending, once, and what comes later', async () => {
    const { call, client, close } = await connect(scripted());
    const closed = new Promise<void>((resolve) => (client.onclose = resolve));
    const errors = await Promise.all([failure(call('never')), failure(call('never')), failure(call('crash'))]);
    for (const error of errors) {
      expect(findCountersignError(error)).toMatchObject({ code: 'SERVER_EXITED', server: 'local' });
      expect(error.message).toMatch(/ended with code 7\. Its last lines on stderr:\n {2}about to crash/);
    }
    await closed;
    await expect(call('pid')).rejects.toThrow();
    await close();
  });

  test('by a signal is told so', async () => {
    const { call, close } = await connect(scripted());
    expect((await failure(call('kill'))).message).toContain('ended by SIGKILL');
    await close();
  });

  test('leaves no child of its own behind', async () => {
    const { client, call, close } = await connect(scripted());
    const forked = new Promise<number>((resolve) =>
      client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => resolve(params.data as number)),
    );
    const closed = new Promise<void>((resolve) => (client.onclose = resolve));
    const failed = failure(call('fork-and-exit'));
    const pid = await forked;
    expect(isAlive(pid)).toBe(true);
    expect((await failed).message).toContain('ended with code 0');
    await closed;
    expect(isAlive(pid)).toBe(false);
    await close();
  });
});

describe('close', () => {
  test.each(['', 'stubborn'])('ends the server and what it forked within two seconds (%s)', async (mode) => {
    const { call, close } = await connect(scripted(mode));
    const pids = [Number(await call('pid')), Number(await call('fork'))];
    expect(pids.map(isAlive)).toEqual([true, true]);
    const before = Date.now();
    await close();
    expect(Date.now() - before).toBeLessThan(2_000);
    expect(pids.map(isAlive)).toEqual([false, false]);
  });

  test('answers what is pending with an error, and is quick with a server that goes by itself', async () => {
    const { call, close } = await connect(scripted());
    const pending = failure(call('never'));
    await close();
    expect((await pending).message).toContain('The connection to server local was closed.');
  });
});

test('closing the instance ends the servers that were left running', async () => {
  const { call, app } = await connect(scripted());
  const pid = Number(await call('pid'));
  await app.close();
  expect(isAlive(pid)).toBe(false);
});

describe('a server that misbehaves', () => {
  test('by flooding stderr is heard in bounded memory', async () => {
    const { call, close } = await connect(scripted());
    const before = process.memoryUsage().rss;
    expect(await call('flood')).toBe('flooded'); // 30 MB
    expect(process.memoryUsage().rss - before).toBeLessThan(40_000_000);
    await close();
  }, 20_000);

  test('by writing other things to stdout is reported, and goes on', async () => {
    const { call, close, errors } = await connect(scripted());
    expect(await call('garbage')).toBe('fine');
    await close();
    expect(errors.map(({ message }) => message)).toEqual([
      'Server local wrote something else than a message to stdout: starting \\u001b[2J up.',
      'Server local wrote something else than a message to stdout: {"half": .',
      'Server local wrote something else than a message to stdout: 42.',
    ]);
  });

  test('by answering twice is heard once', async () => {
    const { call, close, errors } = await connect(scripted());
    expect(await call('twice')).toBe('first');
    expect(await call('echo', { after: true })).toBe('{"after":true}');
    await close();
    expect(errors.map(({ message }) => message)).toEqual(['Server local sent an answer that nobody waits for.']);
  });

  test('by a message beyond the cap fails that request alone', async () => {
    const { call, close } = await connect(scripted('', { maxMessageSize: 1_000_000 }));
    expect((await call('large', { size: 900_000 })).length).toBe(900_000);
    const [large, small] = await Promise.all([failure(call('large', { size: 3_000_000 })), call('echo')]);
    expect(findCountersignError(large)?.code).toBe('TOO_LARGE');
    expect(small).toBe('{}');
    await close();
  });

  test('takes messages of twelve megabytes by default', async () => {
    const { call, close } = await connect(scripted());
    const text = 'x'.repeat(12_000_000);
    expect((await call('echo', { text })).length).toBe(text.length + 11);
    await close();
  }, 20_000);

  test.each(['close-stdout', 'close-stdin'])('by going silent for good is ended: %s', async (how) => {
    const { call, close } = await connect(scripted());
    const pid = Number(await call('pid'));
    const first = await call(how).catch((error: unknown) => error as Error);
    const error = first instanceof Error ? first : await failure(call('echo'));
    expect(findCountersignError(error)?.code).toBe('SERVER_EXITED');
    expect(error.message).toContain(how === 'close-stdin' ? 'closed its stdin' : 'closed its stdout');
    await close();
    expect(isAlive(pid)).toBe(false);
  });

  test('by not reading its stdin ends with the deadline', async () => {
    const error = await failure(connect(scripted('deaf', { timeout: 0.5 })));
    expect(findCountersignError(error)?.code).toBe('TIMEOUT');
  });

  test('by not answering initialize is quoted in the error', async () => {
    const error = await failure(connect(scripted('slow-start', { timeout: 1 })));
    expect(error.message).toContain(
      'did not answer initialize within 1 s. Its last lines on stderr:\n  waiting for the database',
    );
  });

  test('by not answering a call is told that the call is cancelled', async () => {
    const lines: string[] = [];
    const told = { resolve: (): void => {} };
    const cancelled = new Promise<void>((resolve) => (told.resolve = resolve));
    const log = {
      warn: () => {},
      debug: (line: string) => void (lines.push(line), line.includes('cancelled 1') && told.resolve()),
    };
    const { call, close } = await connect(scripted('', { timeout: 0.5 }), { log });
    expect(findCountersignError(await failure(call('never')))?.code).toBe('TIMEOUT');
    await cancelled;
    await close();
  });
});
