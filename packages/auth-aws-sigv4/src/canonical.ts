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

/**
 * The query line of a canonical request, sorted by name, then value. A plus sign is a space, as every form decoder has it.
 * Throws CONFIG_INVALID for what verifiers read in different ways: broken percent-encodings, a signature that is there already.
 */
export function canonicalQuery(query: string): string {
  if (query === '') return '';
  const pairs: [string, string][] = [];
  for (const piece of query.split('&')) {
    if (piece === '') continue;
    const split = piece.indexOf('=');
    const name = decode((split < 0 ? piece : piece.slice(0, split)).replaceAll('+', ' '), 'query');
    if (name.toLowerCase() === 'x-amz-signature') throw unsignable('it is signed already (X-Amz-Signature)');
    if (name === '__proto__') throw unsignable('verifiers lose a parameter of the name __proto__');
    pairs.push([encode(name), split < 0 ? '' : encode(decode(piece.slice(split + 1).replaceAll('+', ' '), 'query'))]);
  }
  pairs.sort(([a, x], [b, y]) => (a < b ? -1 : a > b ? 1 : x < y ? -1 : x > y ? 1 : 0));
  return pairs.map(([name, value]) => `${name}=${value}`).join('&');
}

function decode(text: string, part: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw unsignable(`its ${part} holds a percent sign that begins no UTF-8 encoding`);
  }
}

/** A raw path and query as it can travel: what no request line may hold is percent-encoded, `+` in the query becomes `%20`. */
export function wirePath(path: string, query: string | undefined): string {
  // eslint-disable-next-line no-control-regex -- the request line's own limits
  const escape = (text: string): string => text.replace(/[\x00-\x20"#<>\\^`{|}\x7f-\uffff]+/g, encodeURIComponent);
  return query === undefined ? escape(path) : `${escape(path)}?${escape(query).replaceAll('+', '%20')}`;
}
