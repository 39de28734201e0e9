import { execFileSync } from 'node:child_process';
import { describe, expect, test } from '@jest/globals';
import { curlCommand } from '../src/curl.js';
import { masked } from '../src/mask.js';

describe('the curl command', () => {
  const request = {
    method: 'POST',
    url: new URL("https://mcp.example.com/mcp?a=1&b='x'"),
    headers: [
      ['authorization', `Bearer it's $(id) \`id\` "quoted" \\`],
      ['x-empty', ''],
    ] as const,
    body: `{"jsonrpc":"2.0","text":"it's"}`,
  };

  test('starts with curl, on one line', () => {
    expect(curlCommand(request)).toMatch(/^curl [^\n]*$/);
  });

  test('reaches curl unchanged through a shell', () => {
    const script = `curl() { for word in "$@"; do printf '%s\\n' "$word"; done; }; ${curlCommand(request)}`;
    const words = execFileSync('sh', ['-c', script], { encoding: 'utf8' }).split('\n');
    expect(words).toEqual(
      expect.arrayContaining([
        '-X',
        'POST',
        request.url.href,
        `authorization: ${request.headers[0][1]}`,
        'x-empty;',
        request.body,
      ]),
    );
  });
});

describe('a masked header', () => {
  test.each([
    ['authorization', 'Bearer abcdef', true, 'Bearer ****'],
    ['authorization', 'AWS4-HMAC-SHA256 Credential=A/b, Signature=c', true, 'AWS4-HMAC-SHA256 ****'],
    ['authorization', 'raw-token', true, '****'],
    ['x-api-key', 'one two', true, '****'],
    ['accept', 'application/json', false, 'application/json'],
  ])('%s: %s (%p) is shown as %s', (name, value, sensitive, shown) => {
    expect(masked({ name, value, sensitive })).toBe(shown);
  });
});
