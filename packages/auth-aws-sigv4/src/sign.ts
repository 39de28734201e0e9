import aws4 from 'aws4';
import { hash } from 'node:crypto';
import { CountersignError } from '@countersign/core';
import { canonicalObjectPath, canonicalPath, canonicalQuery, wirePath } from './canonical.js';
import { maySign } from './header-rules.js';
import { hmac, signingKey } from './signing-key.js';

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
  readonly expiration?: Date | undefined;
}

/** A request as its caller has it. */
export interface SignableRequest {
  readonly method: string;
  readonly url: string | URL;
  /** The raw path and query, when it must not be taken from `url`. */
  readonly path?: string | undefined;
  /** An object, or a list of pairs, whose duplicates are kept. */
  readonly headers?: Readonly<Record<string, string>> | Iterable<readonly [string, string]> | undefined;
  readonly body?: string | Uint8Array | undefined;
}

export interface SignOptions {
  readonly credentials: AwsCredentials;
  readonly region: string;
  readonly service: string;
  /** The time of signing; now when absent. */
  readonly date?: Date | undefined;
  /** Dot and empty segments are removed from the path; true by default, and never done for S3. */
  readonly normalizePath?: boolean | undefined;
  /** Adds the body's hash as a signed `x-amz-content-sha256`; false by default, except for S3. */
  readonly signBody?: boolean | undefined;
  /** Sends the session token without signing it. */
  readonly omitSessionToken?: boolean | undefined;
}

export interface SignedRequest {
  /** Every header to send, names in lower case. */
  readonly headers: Record<string, string>;
  /** The URL to send it to, exactly. */
  readonly url: string;
  readonly canonicalRequest: string;
  readonly stringToSign: string;
  readonly signature: string;
}

const EMPTY_HASH = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const S3 = new Set(['s3', 's3express', 's3-object-lambda', 's3-outposts']);

/** Lower-case hex of the body's SHA-256. */
export const payloadHash = (body: string | Uint8Array | undefined): string =>
  body === undefined || body.length === 0 ? EMPTY_HASH : hash('sha256', body, 'hex');

let second = { at: Number.NaN, text: '' };

/** `20150830T123600Z`: ISO 8601, basic form. Throws a RangeError for an invalid date. */
export function amzDate(date: Date): string {
  const at = Math.floor(date.getTime() / 1000);
  if (at !== second.at) second = { at, text: date.toISOString().replace(/[-:]|\.\d{3}/g, '') };
  return second.text;
}

/** The parts of a URL that a signature covers, and the URL that travels. */
interface Target {
  readonly host: string;
  readonly path: string;
  readonly query: string;
  /** The query as it travels, with its question mark. */
  readonly search: string;
  readonly wire: string;
}
let last: { href: string; raw: string | undefined; service: string; normalize: boolean; target: Target } | undefined;

/** Canonical form of a URL's path and query for a service. The last one is remembered: most requests go where the one before went. */
export function canonicalTarget(
  url: URL | string,
  raw: string | undefined,
  service: string,
  normalize: boolean,
): Target {
  const href = typeof url === 'string' ? url : url.href;
  if (last?.href === href && last.raw === raw && last.service === service && last.normalize === normalize)
    return last.target;
  const { host, origin, pathname, search } = new URL(href);
  const whole = raw ?? pathname + search;
  const mark = whole.indexOf('?');
  const path = (mark < 0 ? whole : whole.slice(0, mark)) || '/';
  const query = mark < 0 ? undefined : whole.slice(mark + 1);
  const canonical = S3.has(service) ? canonicalObjectPath(path) : canonicalPath(path, normalize);
  const { wire, signed } = canonicalQuery(query ?? '');
  const target = {
    host,
    path: canonical,
    query: signed,
    search: wire && `?${wire}`,
    wire: origin + wirePath(S3.has(service) ? canonical : path) + (wire && `?${wire}`),
  };
  last = { href, raw, service, normalize, target };
  return target;
}

/**
 * Signs one request with AWS Signature Version 4, in its headers. Every header is signed but those that intermediaries change.
 * Sets `host` (if absent), `x-amz-date`, `authorization` and, for credentials with a session token, `x-amz-security-token` itself; stale ones and `date` are dropped.
 * Throws CREDENTIAL_UNAVAILABLE for incomplete credentials, CONFIG_INVALID or INVALID_HEADER for what verifiers would read differently.
 */
export function sign(request: SignableRequest, options: SignOptions): SignedRequest {
  const { credentials, region, service } = options;
  const target = canonicalTarget(request.url, request.path, service, options.normalizePath ?? true);
  const payload = payloadHash(request.body);
  const token = credentials.sessionToken || undefined;
  const date = amzDate(options.date ?? new Date());

  const headers = combine(request.headers);
  headers['host'] ??= target.host;
  headers['x-amz-date'] = date;
  if (options.signBody ?? (S3.has(service) && headers['x-amz-content-sha256'] === undefined))
    headers['x-amz-content-sha256'] = payload;
  if (token !== undefined) headers['x-amz-security-token'] = token;

  const names: string[] = [];
  for (const name in headers) {
    if (maySign(name) && !(options.omitSessionToken && name === 'x-amz-security-token')) names.push(name);
  }
  const { authorization, ...computed } = signParts(
    {
      method: request.method,
      path: target.path,
      query: target.query,
      headers,
      names,
      payload: headers['x-amz-content-sha256'] ?? payload,
      region,
      service,
      date,
    },
    credentials,
  );
  headers['authorization'] = authorization;
  return { headers, url: target.wire, ...computed };
}

/** Names in lower case, duplicates joined by a comma in their order, folded lines unfolded; without what a signature replaces. */
function combine(headers: SignableRequest['headers']): Record<string, string> {
  const combined: Record<string, string> = {};
  if (headers === undefined) return combined;
  for (const [name, value] of Symbol.iterator in headers ? headers : Object.entries(headers)) {
    const key = name.toLowerCase();
    if (key === 'authorization' || key === 'date') continue;
    if (key === '__proto__')
      throw new CountersignError('INVALID_HEADER', 'The header name __proto__ cannot be signed.');
    const text = (value.includes('\n') ? value.replace(/(?:\r?\n[ \t]+)+/g, ' ') : value).trim();
    combined[key] = Object.hasOwn(combined, key) ? `${combined[key]},${text}` : text;
  }
  return combined;
}

/** What a signature is computed over, in canonical form. */
export interface CanonicalParts {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Those of them to sign; sorted here. */
  readonly names: string[];
  /** The body's hash, or UNSIGNED-PAYLOAD. */
  readonly payload: string;
  readonly region: string;
  readonly service: string;
  readonly date: string;
}

/** Computes a signature and the Authorization header that carries it. */
export function signParts(parts: CanonicalParts, credentials: AwsCredentials) {
  const { method, path, query, headers, names, payload, region, service, date } = parts;
  if (!credentials.accessKeyId || !credentials.secretAccessKey) {
    throw new CountersignError(
      'CREDENTIAL_UNAVAILABLE',
      'The AWS credentials lack an access key id or a secret access key.',
    );
  }
  const key = signingKey(credentials, date.slice(0, 8), region, service);
  let lines = '';
  let list = '';
  for (const name of names.sort()) {
    const value = headers[name] ?? '';
    // A session token is long, and the same for an hour: looked at once.
    const canonical = value === key.token ? value : canonicalValue(name, value);
    if (name === 'x-amz-security-token' && canonical === value) key.token = value;
    lines += `${name}:${canonical}\n`;
    list += list === '' ? name : `;${name}`;
  }
  const canonicalRequest = `${method}\n${path}\n${query}\n${lines}\n${list}\n${payload}`;
  const stringToSign = `AWS4-HMAC-SHA256\n${date}\n${key.scope}\n${hash('sha256', canonicalRequest, 'hex')}`;
  const signature = hmac(key, stringToSign);
  const signer = (key.signer ??= new Signer(credentials, key.scope));
  return { authorization: (signer as Signer).header(list, signature), canonicalRequest, stringToSign, signature };
}

/** Runs of spaces become one. Throws INVALID_HEADER for control characters, and for non-ASCII, on whose bytes verifiers disagree. */
function canonicalValue(name: string, value: string): string {
  if (/^[\x21-\x7e]*(?: [\x21-\x7e]+)*$/.test(value)) return value;
  if (!/^[\t\x20-\x7e]*$/.test(value))
    throw new CountersignError(
      'INVALID_HEADER',
      `The value of header ${name} holds a character that cannot be signed.`,
    );
  return value.replace(/[ \t]+/g, ' ').trim();
}

/**
 * aws4's signer over what is canonical already. aws4 guesses hosts, keeps stale headers, rewrites paths and queries, and keeps secrets as the
 * keys of a global cache: here it does none of that, and what remains of it is the wording of the Authorization header. One for each signing key.
 */
class Signer extends aws4.RequestSigner {
  #list = '';
  #signature = '';
  readonly #scope: string;

  constructor(credentials: AwsCredentials, scope: string) {
    super({ host: '-', method: '-', service: '-', region: '-', headers: {} }, credentials);
    this.#scope = scope;
  }

  header(list: string, signature: string): string {
    this.#list = list;
    this.#signature = signature;
    return this.authHeader();
  }

  override signedHeaders(): string {
    return this.#list;
  }

  override signature(): string {
    return this.#signature;
  }

  override credentialString(): string {
    return this.#scope;
  }
}
