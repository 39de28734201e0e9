import { CountersignError } from '@countersign/core';

const unsignable = (reason: string): CountersignError =>
  new CountersignError('CONFIG_INVALID', `The URL cannot be signed: ${reason}.`, {
    remedy: "Correct the server's URL.",
  });

function encode(text: string): string {
  try {
    return encodeURIComponent(text).replace(
      /[!'()*]/g,
      (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
    );
  } catch {
    throw unsignable('it holds half of a surrogate pair');
  }
}

/**
 * The path line of a canonical request: dot segments and empty segments removed where `normalize` is true, then each byte that is not
 * unreserved encoded once, percent signs of the wire's own encoding included (AWS SigV4, "canonical URI").
 */
export function canonicalPath(path: string, normalize: boolean): string {
  const normal = normalize ? removeSegments(path) : path || '/';
  if (/^[\w.~/-]*$/.test(normal)) return normal;
  return encode(normal).replaceAll('%2F', '/');
}

function removeSegments(path: string): string {
  const kept: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '..') kept.pop();
    else if (segment !== '' && segment !== '.') kept.push(segment);
  }
  return `/${kept.join('/')}${kept.length > 0 && path.endsWith('/') ? '/' : ''}`;
}

/** S3's path line: decoded and encoded once, nothing removed. */
export function canonicalObjectPath(path: string): string {
  return path
    .split('/')
    .map((segment) => encode(decode(segment, 'path')))
    .join('/');
}

/** A query in its two orders: as it travels, and as it is signed. */
export interface CanonicalQuery {
  readonly wire: string;
  readonly signed: string;
}

/**
 * Encodes a query in the one way that every verifier reads alike, whether it decodes or not: each byte that is not unreserved. A plus sign is a
 * space, as every form decoder has it. It travels in its own order and is signed sorted by name, then value.
 * Throws CONFIG_INVALID for what has no such form: broken percent-encodings, a signature that is there already.
 */
export function canonicalQuery(query: string): CanonicalQuery {
  if (query === '') return { wire: '', signed: '' };
  const pairs: { name: string; value: string; text: string }[] = [];
  for (const piece of query.split('&')) {
    if (piece === '') continue;
    const split = piece.indexOf('=');
    const plain = decode((split < 0 ? piece : piece.slice(0, split)).replaceAll('+', ' '), 'query');
    if (plain.toLowerCase() === 'x-amz-signature') throw unsignable('it is signed already (X-Amz-Signature)');
    if (plain === '__proto__') throw unsignable('verifiers lose a parameter of the name __proto__');
    const name = encode(plain);
    const value = split < 0 ? '' : encode(decode(piece.slice(split + 1).replaceAll('+', ' '), 'query'));
    pairs.push({ name, value, text: split < 0 ? name : `${name}=${value}` });
  }
  const wire = pairs.map(({ text }) => text).join('&');
  const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
  pairs.sort((a, b) => order(a.name, b.name) || order(a.value, b.value));
  return { wire, signed: pairs.map(({ name, value }) => `${name}=${value}`).join('&') };
}

function decode(text: string, part: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw unsignable(`its ${part} holds a percent sign that begins no UTF-8 encoding`);
  }
}

/** A raw path as it can travel: what no request line may hold is percent-encoded. */
export function wirePath(path: string): string {
  // eslint-disable-next-line no-control-regex -- the request line's own limits
  return path.replace(/[\x00-\x20"#<>?\\^`{|}\x7f-\uffff]+/g, encodeURIComponent);
}
