import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { execFile } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { closeEverything, everything, startGuard, type Guard } from '@countersign/test-servers';
import { bin, createPlace, type Place } from './support/countersign.js';
import { startScripted } from './support/mcp-server.js';

jest.setTimeout(60_000); // Each test starts processes, on a machine that may be busy.

let place: Place;
let guard: Guard;
let config: string;

beforeAll(async () => {
  place = await createPlace();
  guard = await startGuard({ target: (await everything()).url });
  config = await place.configure({ open: { url: guard.url.href } });
});

afterAll(async () => {
  await guard.close();
  await closeEverything();
  await place.remove();
});

describe('a stop signal', () => {
  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('%s during a call cancels it and ends with %d within two seconds', async (signal, code) => {
    const called = guard.nextRequest(
      ({ message }) => (message as { method?: string } | undefined)?.method === 'tools/call',
    );
    const running = place.start([
      '--config',
      config,
      'call',
      'open',
      'trigger-long-running-operation',
      'duration=60',
      'steps=2',
      '--json',
    ]);
    await called;
    const started = Date.now();
    running.child.kill(signal);
    const ended = await running.ended;
    expect(ended).toMatchObject({ code, stderr: '' });
    expect(ended.json).toMatchObject({ error: { code: 'ABORTED' } });
    expect(Date.now() - started).toBeLessThan(3500); // Two seconds, and a busy machine.
    expect(guard.requests.at(-1)?.method).toBe('DELETE');
  });
});

describe('the output', () => {
  test('that nobody reads any more ends the command without a word', async () => {
    const big = await startScripted({
      'tools/list': () => ({
        tools: Array.from({ length: 20_000 }, (_, at) => ({
          name: `tool-${at}`,
          description: 'x'.repeat(100),
          inputSchema: {},
        })),
      }),
    });
    const file = await place.configure({ big: { url: big.url } }, 'big.json');
    const running = place.start(['--config', file, 'tools', 'big', '--json']);
    running.child.stdout?.destroy();
    expect(await running.ended).toMatchObject({ code: 141, stderr: '' });
    await big.close();
  });

  test('of a large result arrives whole through a pipe', async () => {
    const text = 'ä'.repeat(3_000_000);
    const big = await startScripted({ 'tools/call': () => ({ content: [{ type: 'text', text }] }) });
    const file = await place.configure({ big: { url: big.url } }, 'large.json');
    const ended = await place.run(['--config', file, 'call', 'big', 'x', '--json']);
    expect(ended.code).toBe(0);
    expect((ended.json as { content: { text: string }[] }).content[0]?.text).toBe(text);
    await big.close();
  });
});

describe('text of a server', () => {
  const hostile = '\u001b]0;owned\u0007\u001b[2J\u009b31m\u202egnp.exe\u200b\u{e0041}\r\b';
  const dangerous = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e\u200b\u{e0000}-\u{e007f}]/u; // eslint-disable-line no-control-regex -- that is what is looked for

  test('is shown escaped, wherever it stands', async () => {
    const server = await startScripted({
      initialize: ({ protocolVersion }) => ({
        protocolVersion,
        capabilities: { tools: {}, resources: {}, prompts: {} },
        serverInfo: { name: hostile, version: hostile },
        instructions: hostile,
      }),
      'tools/list': () => ({
        tools: [{ name: hostile, description: hostile, inputSchema: { properties: { [hostile]: {} } } }],
      }),
      'tools/call': () => ({
        content: [
          { type: 'text', text: hostile },
          { type: hostile },
          { type: 'resource_link', uri: hostile, name: hostile },
          { type: 'image', mimeType: hostile },
        ],
        isError: true,
      }),
      'resources/list': () => ({ resources: [{ uri: hostile, name: hostile }] }),
      'resources/read': () => ({ contents: [{ uri: hostile, text: hostile }] }),
      'prompts/list': () => ({ prompts: [{ name: hostile, arguments: [{ name: hostile }] }] }),
      'prompts/get': () => Promise.reject(new Error('unused')),
    });
    const file = await place.configure({ hostile: { url: server.url } }, 'hostile.json');
    for (const words of [
      ['connections'],
      ['tools', 'hostile'],
      ['call', 'hostile', 'x'],
      ['resources', 'hostile'],
      ['read', 'hostile', 'x'],
      ['prompts', 'hostile'],
    ]) {
      for (const json of [[], ['--json'], ['--debug']]) {
        const { stdout, stderr } = await place.run(['--config', file, ...words, ...json]);
        expect([words, dangerous.exec(stdout + stderr)]).toEqual([words, null]);
        if (words[0] !== 'connections') expect(stdout).toContain('\\u001b');
      }
    }
    await server.close();
  });

  test('is the same in a document, once parsed', async () => {
    const server = await startScripted({
      'tools/call': () => ({ content: [{ type: 'text', text: hostile }], acme: { unknown: [1, null] } }),
    });
    const file = await place.configure({ hostile: { url: server.url } }, 'hostile.json');
    expect((await place.run(['--config', file, 'call', 'hostile', 'x', '--json'])).json).toEqual({
      content: [{ type: 'text', text: hostile }],
      acme: { unknown: [1, null] },
    });
    await server.close();
  });

  test('does not give our secret back to the screen', async () => {
    const secret = 'canary-secret-0815-4711';
    const server = await startScripted({
      'tools/call': () => ({
        content: [{ type: 'text', text: `you sent ${secret} and ${Buffer.from(secret).toString('base64')}` }],
        structuredContent: { secret },
      }),
    });
    const file = await place.configure(
      { echo: { url: server.url, auth: { method: 'bearer', token: '${SECRET}' } } },
      'echo.json',
    );
    for (const json of [[], ['--json'], ['--debug']]) {
      const { code, stdout, stderr } = await place.run(['--config', file, 'call', 'echo', 'x', ...json], {
        env: { SECRET: secret },
      });
      expect(code).toBe(0);
      for (const form of [secret, Buffer.from(secret).toString('base64')]) expect(stdout + stderr).not.toContain(form);
    }
    await server.close();
  });

  test('in pages that never end is an error', async () => {
    const server = await startScripted({ 'tools/list': () => ({ tools: [], nextCursor: 'again' }) });
    const file = await place.configure({ endless: { url: server.url } }, 'endless.json');
    const ended = await place.run(['--config', file, 'tools', 'endless', '--json']);
    expect(ended.code).toBe(5);
    expect(ended.json).toMatchObject({ error: { code: 'SERVER_ERROR' } });
    await server.close();
  });

  test('in several pages is one list', async () => {
    const page = (name: string, more: object) => ({ tools: [{ name, inputSchema: {} }], ...more });
    const server = await startScripted({
      'tools/list': ({ cursor }) =>
        cursor === 'two' ? page('b', { _meta: { last: true } }) : page('a', { nextCursor: 'two' }),
    });
    const file = await place.configure({ paged: { url: server.url } }, 'paged.json');
    expect((await place.run(['--config', file, 'tools', 'paged', '--json'])).json).toEqual({
      tools: [
        { name: 'a', inputSchema: {} },
        { name: 'b', inputSchema: {} },
      ],
      _meta: { last: true },
    });
    await server.close();
  });
});

describe('a start', () => {
  test('for --version needs nothing but package.json', async () => {
    const alone = join(place.folder, 'alone');
    await cp(join(bin, '..'), join(alone, 'bin'), { recursive: true });
    await cp(join(bin, '..', '..', 'package.json'), join(alone, 'package.json'));
    const { stdout } = await promisify(execFile)(process.execPath, [join(alone, 'bin', 'countersign.js'), '--version']);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});
