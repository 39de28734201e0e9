import { createHmac, hash } from 'node:crypto';

/** The key of one day, region and service, ready for HMAC (RFC 2104): its inner block with room for a text behind it, and its outer one. */
export interface SigningKey {
  readonly secret: string;
  /** `20150830/us-east-1/service/aws4_request`. */
  readonly scope: string;
  readonly inner: Buffer;
  readonly outer: Buffer;
  /** The session token that was found fit to be signed as it is. */
  token?: string | undefined;
  /** What words the Authorization header. */
  signer?: unknown;
}

const BLOCK = 64;
const ROOM = 512;
const keys = new WeakMap<object, SigningKey>();

/** Computed once for each credential, day, region and service, and gone with the credential. */
export function signingKey(
  credentials: { readonly secretAccessKey: string },
  day: string,
  region: string,
  service: string,
): SigningKey {
  const secret = credentials.secretAccessKey;
  const scope = `${day}/${region}/${service}/aws4_request`;
  const cached = keys.get(credentials);
  if (cached?.scope === scope && cached.secret === secret) return cached;
  const step = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
  const key = step(step(step(step(`AWS4${secret}`, day), region), service), 'aws4_request');
  const padded = (length: number, byte: number): Buffer => {
    const block = Buffer.alloc(length);
    for (let index = 0; index < BLOCK; index++) block[index] = (key[index] ?? 0) ^ byte;
    return block;
  };
  const made: SigningKey = { secret, scope, inner: padded(BLOCK + ROOM, 0x36), outer: padded(BLOCK + 32, 0x5c) };
  keys.set(credentials, made);
  return made;
}

/** HMAC-SHA256 in hex, of an ASCII text. Two hashes of bytes at hand cost half of what an Hmac object does. */
export function hmac({ inner, outer }: SigningKey, text: string): string {
  const message =
    text.length <= ROOM
      ? inner.subarray(0, BLOCK + inner.write(text, BLOCK, 'latin1'))
      : Buffer.concat([inner.subarray(0, BLOCK), Buffer.from(text, 'latin1')]);
  outer.write(hash('sha256', message, 'binary'), BLOCK, 'latin1');
  return hash('sha256', outer, 'hex');
}
