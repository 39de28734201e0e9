import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseChallenges } from '@countersign/core';

const plain = (field: string) =>
  parseChallenges(field).map(({ scheme, parameters, token68 }) => ({
    scheme,
    ...(token68 ? { token68 } : {}),
    ...parameters,
  }));

describe('WWW-Authenticate', () => {
  test.each([
    ['Bearer', [{ scheme: 'bearer' }]],
    ['Bearer realm="x", scope="a b"', [{ scheme: 'bearer', realm: 'x', scope: 'a b' }]],
    ['Bearer realm = "x" , error=invalid_token', [{ scheme: 'bearer', realm: 'x', error: 'invalid_token' }]],
    [
      'Basic realm="a, b=\\"c\\"", Bearer error="e"',
      [
        { scheme: 'basic', realm: 'a, b="c"' },
        { scheme: 'bearer', error: 'e' },
      ],
    ],
    ['Negotiate dG9rZW4=, Bearer', [{ scheme: 'negotiate', token68: 'dG9rZW4=' }, { scheme: 'bearer' }]],
    [
      'Newauth realm="apps", type=1, title="Login to \\"apps\\"", Basic realm="simple"',
      [
        { scheme: 'newauth', realm: 'apps', type: '1', title: 'Login to "apps"' },
        { scheme: 'basic', realm: 'simple' },
      ],
    ],
    [', , Bearer  realm="x",,scope=y', [{ scheme: 'bearer', realm: 'x', scope: 'y' }]],
    [
      'DPoP algs="ES256", DPoP error="use_dpop_nonce"',
      [
        { scheme: 'dpop', algs: 'ES256' },
        { scheme: 'dpop', error: 'use_dpop_nonce' },
      ],
    ],
    ['Bearer SCOPE="a", scope="b"', [{ scheme: 'bearer', scope: 'a' }]],
    [
      'Bearer realm="unterminated, Basic realm="y"',
      [{ scheme: 'bearer', realm: 'unterminated, Basic realm=' }, { scheme: 'y' }],
    ],
    ['Bearer @@@, Basic realm=x', [{ scheme: 'bearer' }, { scheme: 'basic', realm: 'x' }]],
    ['', []],
    ['="x"', []],
  ])('%s', (field, expected) => {
    expect(plain(field)).toEqual(expected);
  });

  test('a parameter named __proto__ is a parameter', () => {
    const [challenge] = parseChallenges('Bearer __proto__="x", constructor="y"');
    expect(Object.entries(challenge?.parameters ?? {})).toEqual([
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ]);
  });

  test('never throws, whatever comes', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('B', 'a', '=', '"', '\\', ',', ' ', '\t', 'é', '/', '~'), maxLength: 200 }),
        (field) => expect(Array.isArray(parseChallenges(field))).toBe(true),
      ),
      { numRuns: 2000 },
    );
  });

  test('reads back what a well-formed field says', () => {
    const token = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/);
    const parameters = fc.dictionary(token, fc.string({ unit: fc.constantFrom('a', ' ', ',', '"', '\\', '=') }), {
      minKeys: 1,
      maxKeys: 4,
    });
    fc.assert(
      fc.property(fc.array(fc.tuple(token, parameters), { minLength: 1, maxLength: 4 }), (challenges) => {
        const field = challenges
          .map(
            ([scheme, values]) =>
              `${scheme} ${Object.entries(values)
                .map(([name, value]) => `${name}="${value.replace(/["\\]/g, '\\$&')}"`)
                .join(', ')}`,
          )
          .join(', ');
        expect(parseChallenges(field).map(({ scheme, parameters: found }) => [scheme, { ...found }])).toEqual(
          challenges.map(([scheme, values]) => [scheme, { ...values }]),
        );
      }),
    );
  });

  test.each([
    ['"', 'a="'],
    ['\\', 'a="\\'],
    [',', ','],
    [' ', 'x '],
    ['=', 'a='],
  ])('stays linear on repeated %s', (_, unit) => {
    const started = process.cpuUsage().user;
    parseChallenges(`Bearer ${unit.repeat(30_000)}`);
    expect(process.cpuUsage().user - started).toBeLessThan(2_000_000); // microseconds; a quadratic scan takes minutes
  });
});
