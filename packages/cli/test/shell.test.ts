import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { openHistory } from '../src/shell/history.js';
import { notificationText } from '../src/shell/notifications.js';
import { namesServer } from '../src/shell/run-line.js';
import { verbs } from '../src/shell/verbs.js';
import { wordsOf } from '../src/shell/words.js';

describe("the words of a shell's line", () => {
  test.each([
    ['/call orders echo message=hi', ['/call', 'orders', 'echo', 'message=hi']],
    ['  /tools   orders  ', ['/tools', 'orders']],
    ['/call o echo message="hi there"', ['/call', 'o', 'echo', 'message=hi there']],
    [`/call o echo message='a "b"'`, ['/call', 'o', 'echo', 'message=a "b"']],
    ['/call o echo message=a\\ b', ['/call', 'o', 'echo', 'message=a b']],
    ['/call o echo {"message": "hi  there"}', ['/call', 'o', 'echo', '{"message": "hi  there"}']],
    ['/call o echo message=""', ['/call', 'o', 'echo', 'message=']],
    ['/call o "open', ['/call', 'o', 'open']],
    ['', []],
  ])('of %j are %j', (line, words) => {
    expect(wordsOf(line)).toEqual(words);
  });

  test('hold every character that is neither space, quote nor backslash', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (line) => {
        const bare = (text: string): string => text.replace(/[\s"'\\]/g, '');
        expect(bare(wordsOf(line).join(''))).toBe(bare(line));
      }),
    );
  });
});

describe('a line, where there is one server', () => {
  test.each([
    ['logout', '', false],
    ['logout', 'orders', true],
    ['logout', 'nope', true],
    ['headers', 'nope', true],
    ['call', 'echo message=hi', false],
    ['call', 'echo {"message":1}', false],
    ['call', 'echo', false],
    ['call', 'orders echo message=hi', true],
    ['call', 'nope echo message=hi', true],
    ['read', 'demo://a?b=c', false],
    ['read', 'nope demo://a', true],
  ])('/%s %s names it or another: %s', (verb, rest, expected) => {
    const words = rest.split(' ').filter(Boolean);
    expect(namesServer(verbs[verb] as { usage: string }, words, 'orders')).toBe(expected);
  });
});

describe('the history', () => {
  test('survives, the newest first, without repetitions, for its owner only', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'countersign-history-'));
    const file = join(folder, 'state', 'history');
    const first = await openHistory(file);
    for (const line of ['/tools', '/tools', '/debug']) await first.add(line);
    expect((await openHistory(file)).lines).toEqual(['/debug', '/tools']);
    if (process.platform !== 'win32') expect((await stat(file)).mode & 0o777).toBe(0o600);
    await rm(folder, { recursive: true });
  });

  test('of a thousand lines is kept', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'countersign-history-'));
    const file = join(folder, 'history');
    const history = await openHistory(file);
    for (let line = 0; line < 1010; line++) await history.add(`/read s ${line}`);
    expect((await openHistory(file)).lines).toHaveLength(1000);
    expect((await openHistory(file)).lines[0]).toBe('/read s 1009');
    await rm(folder, { recursive: true });
  });

  test('is done without where it cannot be written', async () => {
    const history = await openHistory('/dev/null/history');
    await expect(history.add('/tools')).resolves.toBeUndefined();
  });
});

describe('a notification', () => {
  test.each([
    [{ method: 'notifications/tools/list_changed' }, 'orders: the list of tools changed'],
    [
      { method: 'notifications/message', params: { level: 'info', logger: 'db', data: 'slow' } },
      'orders: info db: slow',
    ],
    [{ method: 'notifications/message', params: { level: 'error', data: { a: 1 } } }, 'orders: error: {"a":1}'],
    [{ method: 'notifications/resources/updated', params: { uri: 'demo://1' } }, 'orders: resource updated: demo://1'],
    [{ method: 'notifications/acme/odd', params: { a: 1 } }, 'orders: acme/odd {"a":1}'],
  ])('%j is told as %s', (notification, told) => {
    expect(notificationText('orders', notification)).toBe(told);
  });
});
