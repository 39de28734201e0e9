import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { sign } from '@countersign/auth-aws-sigv4';
import fc from 'fast-check';

const date = new Date('2026-11-24T12:34:56Z');
const scope = { region: 'us-east-1', service: 'bedrock-agentcore' };
const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };

const text = fc.oneof(fc.string({ maxLength: 10 }), fc.constantFrom('', ' ', 'a b', '~', "!'()*", 'ሴ', '&=', '💡'));
const segment = fc.oneof(
  fc.constantFrom('', 'mcp', 'arn%3Aaws%3Abedrock%2Fx', 'o(1)', 'a+b'),
  text.map(encodeURIComponent),
);
const pair = fc.tuple(text, text).map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`);
const cases = fc.record({
  method: fc.constantFrom('GET', 'POST', 'DELETE'),
  path: fc.array(segment, { maxLength: 4 }).map((segments) => `/${segments.join('/')}`),
  query: fc.array(pair, { maxLength: 4 }).map((pairs) => (pairs.length > 0 ? `?${pairs.join('&')}` : '')),
  headers: fc.dictionary(
    fc.constantFrom('content-type', 'x-amz-target', 'x-custom', 'mcp-session-id'),
    fc.constantFrom('a', '  a   b ', 'text/plain; charset=utf-8', ','),
  ),
  body: fc.uint8Array({ maxLength: 300 }),
  token: fc.option(fc.base64String({ minLength: 4, maxLength: 60 }), { nil: undefined }),
});

test('500 generated requests are signed as botocore (Debian: python3-botocore) signs them', () => {
  const ours = fc
    .sample(cases, { numRuns: 500, seed: 20261124 })
    .flatMap(({ path, query, body, token, ...request }) => {
      const url = `https://bedrock-agentcore.us-east-1.amazonaws.com${path}${query}`;
      try {
        const signed = sign(
          { ...request, url, body },
          { ...scope, date, credentials: { ...credentials, sessionToken: token } },
        );
        return [
          {
            signed,
            asked: {
              ...request,
              ...scope,
              url: signed.url,
              token,
              date: '20261124T123456Z',
              body: Buffer.from(body).toString('base64'),
            },
          },
        ];
      } catch {
        return [];
      }
    });
  expect(ours.length).toBeGreaterThan(450);
  const { stdout, stderr, status } = spawnSync(
    '/usr/bin/python3',
    [fileURLToPath(new URL('sign.py', import.meta.url))],
    {
      input: ours.map(({ asked }) => JSON.stringify(asked)).join('\n'),
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
    },
  );
  expect([status, stderr]).toEqual([0, '']);
  const theirs = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(
    ours.filter(({ signed }, index) => signed.headers['authorization'] !== theirs[index]).map(({ asked }) => asked),
  ).toEqual([]);
});
