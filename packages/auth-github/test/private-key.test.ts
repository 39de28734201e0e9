import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { normalisePrivateKey } from '../src/private-key.js';

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const pkcs1 = String(privateKey.export({ type: 'pkcs1', format: 'pem' }));
const pkcs8 = String(privateKey.export({ type: 'pkcs8', format: 'pem' }));
const der = privateKey.export({ type: 'pkcs8', format: 'der' });
const lines = pkcs1.split('\n').filter((line) => line.length > 20 && !line.startsWith('-'));

describe('a private key arrives', () => {
  const forms: Record<string, string> = {
    'as PKCS#1': pkcs1,
    'as PKCS#8': pkcs8,
    'with CRLF': pkcs1.replaceAll('\n', '\r\n'),
    'with \\n for line breaks': pkcs1.replaceAll('\n', '\\n'),
    'with \\r\\n for line breaks': pkcs1.replaceAll('\n', '\\r\\n'),
    'with \\\\n for line breaks': pkcs1.replaceAll('\n', '\\\\n'),
    'with spaces for line breaks': pkcs1.trim().replaceAll('\n', ' '),
    'without any line breaks': pkcs1.replaceAll('\n', ''),
    'in double quotes': `"${pkcs1.replaceAll('\n', '\\n')}"`,
    'in single quotes': `'${pkcs8}'`,
    'in base64': Buffer.from(pkcs1).toString('base64'),
    'in wrapped base64': Buffer.from(pkcs1)
      .toString('base64')
      .replace(/(.{76})/g, '$1\n'),
    'in base64url': Buffer.from(pkcs8).toString('base64url'),
    'in base64 of its bytes': der.toString('base64'),
    'with a byte order mark and blank lines': `\uFEFF\n\n${pkcs1}\n\n`,
    'with indented lines': pkcs1.replaceAll('\n', '\n    '),
    'after other text': `# the App's key\n${pkcs1}`,
  };

  test.each(Object.entries(forms))('%s, and is the same key', (_, text) => {
    expect(normalisePrivateKey(text, 'test')).toBe(pkcs8);
    expect(createPrivateKey(normalisePrivateKey(text, 'test')).asymmetricKeyType).toBe('rsa');
  });
});

describe('a broken private key', () => {
  const half = pkcs1.slice(0, pkcs1.length / 2);
  const forms: [string, string, string][] = [
    ['its first line only', '-----BEGIN RSA PRIVATE KEY-----', 'no END line'],
    ['cut off', half, 'no END line'],
    ['a line missing', pkcs1.split('\n').toSpliced(5, 1).join('\n'), 'damaged'],
    ['a foreign character', pkcs1.replace('\nMII', '\nM€I'), 'not base64'],
    ['nothing between its lines', '-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----', 'nothing between'],
    ['a public key', String(publicKey.export({ type: 'spki', format: 'pem' })), 'public key'],
    [
      'an elliptic curve key',
      String(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' })),
      'of type ec',
    ],
    [
      'an encrypted key',
      String(privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' })),
      'encrypted',
    ],
    ['nothing', '  ', 'empty'],
    ['a path', '/home/ada/key.pem', 'neither PEM nor base64'],
    ['other base64', Buffer.from('something else, long enough').toString('base64'), 'no BEGIN line'],
  ];

  test.each(forms)('(%s) is told, and none of it is shown', (_, text, fact) => {
    let error: unknown;
    try {
      normalisePrivateKey(text, 'option "privateKey"');
    } catch (caught) {
      error = caught;
    }
    expect(error).toMatchObject({ code: 'AUTH_OPTIONS_INVALID', message: expect.stringContaining(fact) });
    const { message, stack, remedy, cause } = error as Error & { remedy: string };
    const shown = [message, stack, remedy, String(cause)].join('\n');
    for (const line of lines) expect(shown).not.toContain(line);
    expect(cause).toBeUndefined();
  });

  test('of any text throws nothing but AUTH_OPTIONS_INVALID', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc
            .tuple(fc.nat(pkcs1.length), fc.string())
            .map(([at, noise]) => pkcs1.slice(0, at) + noise + pkcs1.slice(at + noise.length)),
        ),
        (text) => {
          try {
            return normalisePrivateKey(text, 'x').startsWith('-----BEGIN PRIVATE KEY-----');
          } catch (error) {
            return (error as { code?: string }).code === 'AUTH_OPTIONS_INVALID';
          }
        },
      ),
      { numRuns: 200 },
    );
  });
});
