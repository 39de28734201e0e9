import { PassThrough, Writable } from 'node:stream';
import { describe, expect, test } from '@jest/globals';
import { terminalInteraction, type TerminalInteractionOptions } from '../src/interaction.js';
import { lineReader } from '../src/read-line.js';

function recorded(options: Partial<TerminalInteractionOptions> = {}) {
  const lines: string[] = [];
  const opened: string[] = [];
  const interaction = terminalInteraction({
    print: (line) => lines.push(line),
    open: async (url) => (opened.push(url.href), true),
    device: false,
    readLine: async () => 'answer',
    symbol: (symbol) => `${symbol} `,
    ...options,
  });
  return { interaction, lines, opened };
}

const url = new URL('https://as.example.com/authorize?state=1&scope=a%20b');

describe('a sign-in at a terminal', () => {
  test('prints the lines that people know, the URL alone on one', async () => {
    const { interaction, lines, opened } = recorded();
    interaction.tell({ type: 'listening', url: 'http://localhost:3000/callback' });
    interaction.tell({ type: 'opening', url: url.href });
    expect(await interaction.show(url)).toBe('opened');
    interaction.tell({ type: 'succeeded' });
    expect(lines).toEqual([
      '🖥️  Started callback server on http://localhost:3000',
      '🔐 Opening browser for OAuth authentication...',
      url.href,
      '✅ OAuth authentication successful',
    ]);
    expect(opened).toEqual([url.href]);
  });

  test('says so when the browser did not open, and how to reach it over SSH', async () => {
    const { interaction, lines } = recorded({ open: async () => false });
    interaction.tell({ type: 'listening', url: 'http://localhost:4711/callback' });
    expect(await interaction.show(url)).toBe('shown');
    expect(lines.join('\n')).toContain('ssh -L 4711:localhost:4711');
  });

  test('opens nothing with --no-browser', async () => {
    const { interaction, lines, opened } = recorded({ open: undefined });
    expect(await interaction.show(url)).toBe('shown');
    expect(opened).toEqual([]);
    expect(lines).toContain(url.href);
  });

  test.each([
    'file:///etc/passwd',
    'javascript:alert(1)',
    'ms-msdt:/id',
    'http://as.example.com/authorize',
    `https://as.example.com/${'a'.repeat(65_536)}`,
  ])('refuses to print or open %.40s', async (hostile) => {
    const { interaction, lines, opened } = recorded();
    await expect(interaction.show(new URL(hostile))).rejects.toMatchObject({ code: 'UNSAFE_URL' });
    expect([lines, opened]).toEqual([[], []]);
  });

  test('opens a URL of this machine over http', async () => {
    const { interaction, opened } = recorded();
    await interaction.show(new URL('http://127.0.0.1:8080/authorize'));
    expect(opened).toEqual(['http://127.0.0.1:8080/authorize']);
  });

  test('shows the device code and its URI as the server gave them, escaped', () => {
    const { interaction, lines } = recorded();
    interaction.tell({ type: 'device', verificationUri: 'https://as.example.com/device', userCode: 'ABCD\u001b[2J' });
    expect(lines).toEqual(expect.arrayContaining(['https://as.example.com/device', 'ABCD\\u001b[2J']));
  });

  test('refuses a device URI that is not http', () => {
    const { interaction, lines } = recorded();
    expect(() => interaction.tell({ type: 'device', verificationUri: '-flag', userCode: 'ABCD' })).toThrow('not https');
    expect(lines).toEqual([]);
  });
});

describe('answers from a pipe', () => {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const reader = (pipe: PassThrough) => lineReader(pipe as unknown as NodeJS.ReadStream, nowhere);

  test('come one a question, however they arrive', async () => {
    const pipe = new PassThrough();
    const read = reader(pipe);
    pipe.write('first\nsecond\n');
    expect(await read('?')).toBe('first');
    expect(await read('?')).toBe('second');
    const third = read('?');
    pipe.write('third\n');
    expect(await third).toBe('third');
  });

  test('end with LOGIN_REQUIRED at the end of input', async () => {
    const pipe = new PassThrough();
    const read = reader(pipe);
    pipe.end('only\n');
    expect(await read('?')).toBe('only');
    await expect(read('?')).rejects.toMatchObject({ code: 'LOGIN_REQUIRED' });
  });

  test('are no longer waited for on abort', async () => {
    const stop = new AbortController();
    const asked = reader(new PassThrough())('?', stop.signal);
    stop.abort();
    await expect(asked).rejects.toThrow();
  });
});
