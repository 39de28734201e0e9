import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isLoopback } from '@countersign/core';
import { addressProblem } from '../src/addresses.js';
import { messageMeter } from '../src/body-limits.js';
import { proxyFor } from '../src/proxy.js';
import { createRedactor, isSensitiveName } from '../src/redactor.js';
import { retryAfter } from '../src/retry-after.js';
import { nearest } from '../src/suggestion.js';

describe('the redactor', () => {
  test('finds a secret raw, base64 at any alignment, URL-encoded, JSON-escaped', () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: 12, maxLength: 40 }).filter((s) => s.trim().length >= 12 && !/^[\w-]+ +\S/.test(s)),
        fc.string({ maxLength: 5 }),
        (raw, prefix) => {
          const secret = raw.trim();
          const redactor = createRedactor();
          redactor.conceal(secret);
          for (const form of [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)])
            expect(redactor.redact(`a ${form} b`)).not.toContain(form);
          const encoded = Buffer.from(`${prefix}${secret}${prefix}`).toString('base64');
          expect(redactor.redact(encoded)).toContain('[redacted]');
        },
      ),
      { numRuns: 500 },
    );
  });

  test('a secret outlasts any number of signatures that pass', () => {
    const redactor = createRedactor();
    redactor.conceal('the-lasting-secret');
    for (let number = 0; number < 5000; number++) redactor.conceal(`signature-${number}`, true);
    expect(redactor.redact('the-lasting-secret signature-4999 signature-0')).toBe('[redacted] [redacted] signature-0');
  });

  test('takes the scheme off a header value', () => {
    const redactor = createRedactor();
    redactor.conceal('Bearer abcdefgh123');
    expect(redactor.redact('token=abcdefgh123')).toBe('token=[redacted]');
  });

  test('takes no first word of a passphrase for a scheme', () => {
    const redactor = createRedactor();
    redactor.conceal('Passphrase-of-many words');
    expect(redactor.redact('bad key Passphrase-of-many words.')).toBe('bad key [redacted].');
    expect(redactor.redact('key=Passphrase-of-many+words')).toBe('key=[redacted]');
  });

  test('knows URL-encoding in either case', () => {
    const redactor = createRedactor();
    redactor.conceal('can/ary+12345=');
    expect(redactor.redact('can%2fary%2b12345%3d CAN can%2Fary%2B12345%3D')).toBe('[redacted] CAN [redacted]');
  });

  test('knows the name and password inside of Basic', () => {
    const redactor = createRedactor();
    redactor.conceal(`Basic ${Buffer.from('user:pass-word-1').toString('base64')}`);
    expect(redactor.redact('user:pass-word-1, and pass-word-1 alone')).toBe('[redacted], and [redacted] alone');
  });

  test('finds a secret in JSON that stands as text in JSON', () => {
    const redactor = createRedactor();
    redactor.conceal('se"cret\\value');
    expect(redactor.redact(JSON.stringify(JSON.stringify({ x: 'se"cret\\value' })))).not.toContain('cret');
  });

  test('stays bounded when values come and go', () => {
    const redactor = createRedactor();
    for (let i = 0; i < 5000; i++) redactor.conceal(`secret-number-${i}`);
    expect(redactor.redact('secret-number-4999 secret-number-0')).toBe('[redacted] secret-number-0');
  });

  test.each([
    'Authorization',
    'proxy-authorization',
    'Cookie',
    'X-API-Key',
    'apikey',
    'X-Auth-Token',
    'X-API-Secret',
    'password',
    'X-Signature',
    'X-Amz-Security-Token',
  ])('%s is a sensitive name', (name) => {
    expect(isSensitiveName(name)).toBe(true);
  });

  test.each(['X-Client-ID', 'Accept', 'X-Keyboard', 'X-Timestamp', 'Content-Type'])('%s is not', (name) => {
    expect(isSensitiveName(name)).toBe(false);
  });
});

describe('addresses', () => {
  test.each([
    '127.0.0.1',
    '127.8.8.8',
    '[::1]',
    'localhost',
    '10.1.2.3',
    '192.168.0.1',
    '172.16.0.1',
    '169.254.169.254',
    '[fe80::1]',
    '[fd00::1]',
    '[::ffff:7f00:1]',
    '[::ffff:10.0.0.1]',
    '0.0.0.0',
    '100.64.0.1',
    '[::]',
    'x.localhost',
    '127.0.0.1.',
  ])('%s is refused', (host) => {
    expect(addressProblem(host)).toEqual(expect.any(String));
  });

  test.each(['0x7f.1', '0177.0.0.1', '2130706433', '127.1'])('%s is refused as the URL parser reads it', (host) => {
    expect(addressProblem(new URL(`http://${host}/`).hostname)).toBe('a loopback address');
  });

  test.each(['8.8.8.8', 'example.com', '[2606:4700::1111]'])('%s is not', (host) => {
    expect(addressProblem(host)).toBeUndefined();
  });

  test('loopback is this machine only', () => {
    expect(['localhost', '127.0.0.1', '[::1]'].every(isLoopback)).toBe(true);
    expect(['localhost.example.com', '127.0.0.1.example.com', '128.0.0.1', 'example.com'].some(isLoopback)).toBe(false);
  });
});

describe('the proxy for a URL', () => {
  const env = {
    HTTPS_PROXY: 'http://proxy:8080',
    http_proxy: 'plain:3128',
    NO_PROXY: 'internal.example, .corp, *.lan other:8443 [2001:db8::1]',
  };
  test.each([
    ['https://api.example/', 'http://proxy:8080/'],
    ['http://api.example/', 'http://plain:3128/'],
    ['https://internal.example/', undefined],
    ['https://a.internal.example/', undefined],
    ['https://x.corp/', undefined],
    ['https://x.lan/', undefined],
    ['https://other:8443/', undefined],
    ['https://other/', 'http://proxy:8080/'],
    ['https://[2001:db8::1]/', undefined],
    ['https://localhost:1/', undefined],
    ['https://127.0.0.1/', undefined],
    ['http://169.254.169.254/', undefined],
  ])('%s -> %s', (url, proxy) => {
    expect(proxyFor(new URL(url), env)?.href).toBe(proxy);
  });

  test('there is none with NO_PROXY=*, nor without a variable', () => {
    expect(proxyFor(new URL('https://a.b/'), { ...env, NO_PROXY: '*' })).toBeUndefined();
    expect(proxyFor(new URL('https://a.b/'), {})).toBeUndefined();
  });
});

test.each([
  ['1', 1000],
  ['0', 0],
  ['Wed, 21 Oct 2026 07:28:10 GMT', 10_000],
  ['Wed, 21 Oct 2020 07:28:00 GMT', 0],
  ['soon', undefined],
  ['-1', undefined],
  ['1.5', undefined],
  ['', undefined],
])('Retry-After %s is %s ms', (field, expected) => {
  expect(retryAfter(field, Date.parse('Wed, 21 Oct 2026 07:28:00 GMT'))).toBe(expected);
});

test('the meter counts one message, or one event of a stream', () => {
  const bytes = (text: string) => Buffer.from(text);
  const events = messageMeter('text/event-stream; charset=utf-8', 10);
  for (let i = 0; i < 100; i++) events(bytes('data: a\n\n'));
  for (let i = 0; i < 100; i++) events(bytes('data: a\r\n\r\n'));
  expect(() => [bytes('data: aa'), bytes('aaaaaaaa')].forEach(events)).toThrow(
    expect.objectContaining({ code: 'TOO_LARGE' }),
  );
  const split = messageMeter('text/event-stream', 10);
  for (const byte of bytes('data: a\n\n'.repeat(50))) split(Buffer.of(byte));
  const many = messageMeter('text/event-stream', 30);
  expect(() => bytes('data: a\n'.repeat(10)).forEach((byte) => many(Buffer.of(byte)))).toThrow(); // an endless event of many lines
  const whole = messageMeter('application/json', 10);
  whole(bytes('12345'));
  expect(() => whole(bytes('123456'))).toThrow();
});

test('the nearest known word is near', () => {
  expect(nearest('transprt_type', ['url', 'transport_type'])).toBe('transport_type');
  expect(nearest('scopes', ['url', 'scope'])).toBe('scope');
  expect(nearest('zzz', ['url', 'scope'])).toBeUndefined();
});
