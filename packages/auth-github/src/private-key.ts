import { createPrivateKey, type KeyObject } from 'node:crypto';
import { CountersignError } from '@countersign/core';

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----([\s\S]*?)-----END \1-----/;

/**
 * An App's private key as PKCS#8 PEM, from whatever became of it on its way: PKCS#1 or PKCS#8, base64 of either, in quotes, with
 * `\n` or spaces for line breaks, CRLF. Throws AUTH_OPTIONS_INVALID, which says what is wrong and shows nothing of the key.
 */
export function normalisePrivateKey(text: string, origin: string): string {
  const key = read(text, origin);
  if (key.asymmetricKeyType !== 'rsa')
    throw unusable(origin, `is of type ${key.asymmetricKeyType}; a GitHub App's key is RSA`);
  return String(key.export({ type: 'pkcs8', format: 'pem' }));
}

function read(text: string, origin: string): KeyObject {
  const clean = unwrap(text);
  const block = BLOCK.exec(clean);
  if (block) return fromPem(block[1] ?? '', block[2] ?? '', origin);
  if (clean.includes('-----BEGIN'))
    throw unusable(
      origin,
      'has no END line: it was cut off, often after its first line in a .env file',
      'Put the whole key in double quotes in .env, or write its line breaks as \\n, or use "privateKeyFile".',
    );
  const compact = clean.replace(/\s+/g, '');
  if (compact === '') throw unusable(origin, 'is empty');
  if (!/^[A-Za-z0-9+/_-]+=*$/.test(compact))
    throw unusable(
      origin,
      'is neither PEM nor base64',
      'Give the .pem file\'s content; a path belongs in "privateKeyFile".',
    );
  const bytes = Buffer.from(compact, 'base64');
  const inner = unwrap(bytes.toString('latin1'));
  if (inner.includes('-----BEGIN')) return read(inner, origin);
  return fromDer(bytes) ?? fail(origin, 'has no BEGIN line, and is no key in base64 either');
}

/** Without quotes, byte order mark and escapes. */
function unwrap(text: string): string {
  return text
    .replace(/^\uFEFF/, '')
    .trim()
    .replace(/^(["'`])([\s\S]*)\1$/, '$2')
    .replace(/\\r/g, '')
    .replace(/\\+n/g, '\n')
    .trim();
}

function fromPem(label: string, body: string, origin: string): KeyObject {
  if (label.includes('ENCRYPTED') || /Proc-Type|DEK-Info/.test(body))
    throw unusable(origin, 'is encrypted', 'Decrypt it: openssl rsa -in key.pem -out plain.pem');
  if (label === 'OPENSSH PRIVATE KEY')
    throw unusable(origin, 'is an SSH key', 'Use the .pem file that GitHub made for the App.');
  if (label.includes('PUBLIC KEY'))
    throw unusable(origin, 'is a public key', 'Use the .pem file that GitHub made for the App.');
  if (label === 'CERTIFICATE')
    throw unusable(origin, 'is a certificate', 'Use the .pem file that GitHub made for the App.');
  if (!label.endsWith('PRIVATE KEY')) throw unusable(origin, 'holds no private key');
  const compact = body.replace(/[\s\\]+/g, '');
  const stray = /[^A-Za-z0-9+/=]/.exec(compact);
  if (stray) throw unusable(origin, 'holds a character that is not base64');
  if (compact === '') throw unusable(origin, 'has nothing between its BEGIN and END lines');
  return fromDer(Buffer.from(compact, 'base64')) ?? fail(origin, 'is damaged: a part of it is missing or changed');
}

function fromDer(bytes: Buffer): KeyObject | undefined {
  for (const type of ['pkcs8', 'pkcs1', 'sec1'] as const) {
    try {
      return createPrivateKey({ key: bytes, format: 'der', type });
    } catch {
      continue; // another form, or none: OpenSSL's words mean nothing to people
    }
  }
  return undefined;
}

function fail(origin: string, fact: string): never {
  throw unusable(origin, fact);
}

function unusable(
  origin: string,
  fact: string,
  remedy = 'Generate a new private key in the settings of the App, and give the .pem file as "privateKeyFile".',
): CountersignError {
  return new CountersignError('AUTH_OPTIONS_INVALID', `The private key of the GitHub App (${origin}) ${fact}.`, {
    remedy,
  });
}
