import { describe, expect, test } from '@jest/globals';
import { errorText } from '../src/error-text.js';
import { printTable } from '../src/print-table.js';
import { createScreen, type ScreenOptions } from '../src/screen.js';

function recorded(options: Partial<ScreenOptions> & { tty?: boolean; columns?: number } = {}) {
  const written = { out: '', err: '' };
  const { tty = false, columns } = options;
  const screen = createScreen({
    stdout: { write: (text) => (written.out += text), isTTY: tty, columns },
    stderr: { write: (text) => (written.err += text), isTTY: tty, columns },
    env: {},
    color: true,
    json: false,
    ...options,
  });
  return { screen, written };
}

describe('the screen', () => {
  test('writes nothing to stderr without a terminal but warnings', () => {
    const { screen, written } = recorded();
    screen.progress('working');
    screen.note('beside the result');
    screen.print('result');
    expect(written).toEqual({ out: 'result\n', err: '' });
    screen.warn('wrong');
    expect(written.err).toBe('wrong\n');
  });

  test('takes the progress away before the next line', () => {
    const { screen, written } = recorded({ tty: true, columns: 20 });
    screen.progress('a line of progress that is longer than the terminal');
    screen.print('result');
    expect(written.err).toBe('a line of progress \r\x1b[K');
  });

  test.each([
    ['a terminal', { tty: true }, true],
    ['no terminal', { tty: false }, false],
    ['--no-color', { tty: true, color: false }, false],
    ['NO_COLOR', { tty: true, env: { NO_COLOR: '1' } }, false],
    ['an empty NO_COLOR', { tty: true, env: { NO_COLOR: '' } }, true],
    ['TERM=dumb', { tty: true, env: { TERM: 'dumb' } }, false],
  ])('with %s shows colours: %#', (_, options, colors) => {
    expect(recorded(options).screen.style('red', 'x')).toBe(colors ? '\x1b[31mx\x1b[39m' : 'x');
  });

  test.each([
    [{}, '✅ '],
    [{ LANG: 'de_DE.UTF-8' }, '✅ '],
    [{ LANG: 'C' }, ''],
    [{ LC_ALL: 'C.utf8', LANG: 'C' }, '✅ '],
    [{ TERM: 'linux' }, ''],
  ])('with %j shows the symbol %j', (env, shown) => {
    expect(recorded({ env }).screen.symbol('✅')).toBe(shown);
  });

  test('hides secrets in lines and in every string of a document, and nothing else of it', () => {
    const { screen, written } = recorded();
    screen.redact = (text) => text.replaceAll('12345678', '[hidden]');
    screen.print('token 12345678');
    screen.document({ list: ['12345678', 12345678], at: new Date(0), none: null });
    expect(written.out.split('\n')[0]).toBe('token [hidden]');
    expect(JSON.parse(written.out.slice(written.out.indexOf('\n')))).toEqual({
      list: ['[hidden]', 12345678],
      at: '1970-01-01T00:00:00.000Z',
      none: null,
    });
  });

  test('escapes in a document what a terminal would obey', () => {
    const { screen, written } = recorded();
    const value = { text: '\u001b[2J\u009b\u202e\u{e0041}' };
    screen.document(value);
    expect(written.out.replace(/\n/g, '')).toMatch(/^[\x20-\x7e]*$/);
    expect(JSON.parse(written.out)).toEqual(value);
  });
});

describe('a table', () => {
  const head = ['NAME', 'DESCRIPTION'];
  const rows = [
    ['echo', 'Echoes back the input string, and says in many words what it does with it'],
    ['日本語', 'wide\n\n  characters'],
    ['a-name-of-a-tool-that-goes-on-and-on-and-on-and-on-and-on', '\u001b[31mred'],
  ];
  const print = (columns: number | undefined): string => {
    const { screen, written } = recorded({ color: false, ...(columns === undefined ? {} : { tty: true, columns }) });
    printTable(screen, head, rows);
    return written.out;
  };
  const widths = (text: string): number[] =>
    text
      .split('\n')
      .map((line) => [...line].reduce((sum, character) => sum + (/[\u3000-\u9fff]/.test(character) ? 2 : 1), 0));

  test.each([20, 30, 40, 80, 200])('fits a terminal of %d columns and loses nothing', (columns) => {
    const text = print(columns);
    expect(Math.max(...widths(text))).toBeLessThanOrEqual(columns);
    for (const word of ['echo', 'Echoes', '日本語', 'a-name-']) expect(text).toContain(word);
    if (columns >= 30) expect(text).toContain('\\u001b[31mred');
  });

  test('keeps words whole where they fit, and breaks long ones behind a slash or a hyphen', () => {
    const { screen, written } = recorded({ color: false, tty: true, columns: 80 });
    const titles = ['NAME', 'TRANSPORT', 'AUTH', 'STATE', 'PROTOCOL', 'TOOLS/RES/PROMPTS', 'LATENCY', 'CREDENTIAL'];
    printTable(screen, titles, [
      ['reports', 'streamable-http', 'oauth', 'login required', '2025-11-25', '13/7/4', '157 ms', 'OAuth sign-in'],
    ]);
    expect(written.out).toBe(
      [
        'NAME     TRANSPORT    AUTH   STATE     PROTOCOL    TOOLS/    LATENCY  CREDENTIAL',
        '                                                   RES/',
        '                                                   PROMPTS',
        'reports  streamable-  oauth  login     2025-11-25  13/7/4    157 ms   OAuth',
        '         http                required                                 sign-in',
        '',
      ].join('\n'),
    );
  });

  test('becomes a block for each row where there is no room for columns', () => {
    expect(print(10)).toContain('NAME echo\nDESCRIPTION Echoes');
  });

  test('has one line for each row where nobody sees it', () => {
    expect(print(undefined).trimEnd().split('\n')).toHaveLength(4);
  });
});

test('an error is broken between words to fit the terminal, and whole where nobody sees it', () => {
  const failure = { message: 'one two three four', remedy: 'five six https://h/long-url-that-stays-whole' };
  const plain = { lead: (text: string) => `<${text}>`, remedy: (text: string) => text };
  const at = (columns: number | undefined): string =>
    errorText({ columns, shown: (text) => text }, failure, 'error', plain);
  expect(at(16)).toBe('<error> one two\n  three four\n  five six\n  https://h/long-url-that-stays-whole');
  expect(at(undefined)).toBe('<error> one two three four\n  five six https://h/long-url-that-stays-whole');
});
