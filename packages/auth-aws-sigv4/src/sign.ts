import aws4 from 'aws4';
import { createHmac, hash } from 'node:crypto';
import { CountersignError } from '@countersign/core';
import { canonicalObjectPath, canonicalPath, canonicalQuery, wirePath } from './canonical.js';
import { maySign } from './header-rules.js';

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
  const target = {
    host,
    path: canonical,
    query: canonicalQuery(query ?? ''),
    wire: origin + wirePath(S3.has(service) ? canonical : path, query),
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
  headers.delete('authorization');
  headers.delete('date');
  if (!headers.has('host')) headers.set('host', target.host);
  headers.set('x-amz-date', date);
  if (options.signBody ?? (S3.has(service) && !headers.has('x-amz-content-sha256')))
    headers.set('x-amz-content-sha256', payload);
  if (token !== undefined) headers.set('x-amz-security-token', token);

  const signed: [string, string][] = [];
  for (const field of headers) {
    if (maySign(field[0]) && !(options.omitSessionToken && field[0] === 'x-amz-security-token')) signed.push(field);
  }
  const signer = new Signer(
    {
      method: request.method,
      path: target.path,
      query: target.query,
      headers: signed,
      payload: headers.get('x-amz-content-sha256') ?? payload,
      region,
      service,
      date,
    },
    credentials,
  );
  headers.set('authorization', signer.authHeader());
  const all: Record<string, string> = {};
  for (const [name, value] of headers) {
    if (name === '__proto__') Object.defineProperty(all, name, { value, enumerable: true });
    else all[name] = value;
  }
  return {
    headers: all,
    url: target.wire,
    canonicalRequest: signer.canonicalString(),
    stringToSign: signer.stringToSign(),
    signature: signer.signature(),
  };
}

/** Names in lower case, duplicates joined by a comma in their order, folded lines unfolded. */
function combine(headers: SignableRequest['headers']): Map<string, string> {
  const combined = new Map<string, string>();
  const pairs = headers === undefined ? [] : Symbol.iterator in headers ? headers : Object.entries(headers);
  for (const [name, value] of pairs) {
    const key = name.toLowerCase();
    const text = (value.includes('\n') ? value.replace(/(?:\r?\n[ \t]+)+/g, ' ') : value).trim();
    const earlier = combined.get(key);
    combined.set(key, earlier === undefined ? text : `${earlier},${text}`);
  }
  return combined;
}

/** What the signature is computed over, in canonical form. */
export interface CanonicalParts {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  /** The headers to sign, each once, names in lower case. */
  readonly headers: [string, string][];
  /** The body's hash, or UNSIGNED-PAYLOAD. */
  readonly payload: string;
  readonly region: string;
  readonly service: string;
  readonly date: string;
}

/**
 * aws4's signer over parts that are canonical already. aws4 guesses hosts, keeps stale headers, rewrites paths and queries, and keeps secrets
 * as the keys of a global cache: here it does none of that, and what remains of it is the order and wording of the signature.
 */
export class Signer extends aws4.RequestSigner {
  readonly #parts: CanonicalParts;
  readonly #canonical: string;
  readonly #names: string;
  #toSign: string | undefined;
  #signature: string | undefined;

  constructor(parts: CanonicalParts, credentials: AwsCredentials) {
    if (!credentials.accessKeyId || !credentials.secretAccessKey)
      throw new CountersignError(
        'CREDENTIAL_UNAVAILABLE',
        'The AWS credentials lack an access key id or a secret access key.',
      );
    super({ host: '-', method: parts.method, service: parts.service, region: parts.region, headers: {} }, credentials);
    this.#parts = parts;
    this.datetime = parts.date;
    this.parsedPath = {};
    let lines = '';
    let names = '';
    for (const [name, value] of parts.headers.sort(byName)) {
      lines += `${name}:${canonicalValue(name, value)}\n`;
      names += names === '' ? name : `;${name}`;
    }
    this.#names = names;
    this.#canonical = `${parts.method}\n${parts.path}\n${parts.query}\n${lines}\n${names}\n${parts.payload}`;
  }

  override signedHeaders(): string {
    return this.#names;
  }

  override canonicalString(): string {
    return this.#canonical;
  }

  override stringToSign(): string {
    return (this.#toSign ??= `AWS4-HMAC-SHA256\n${this.datetime}\n${this.credentialString()}\n${hash('sha256', this.#canonical, 'hex')}`);
  }

  override signature(): string {
    return (this.#signature ??= createHmac(
      'sha256',
      signingKey(this.credentials, this.getDate(), this.#parts.region, this.#parts.service),
    )
      .update(this.stringToSign())
      .digest('hex'));
  }

  override credentialString(): string {
    return `${this.getDate()}/${this.#parts.region}/${this.#parts.service}/aws4_request`;
  }
}

const byName = ([a]: [string, string], [b]: [string, string]): number => (a < b ? -1 : 1);

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

interface CachedKey {
  readonly secret: string;
  readonly scope: string;
  readonly key: Buffer;
}
const signingKeys = new WeakMap<object, CachedKey>();

/** Depends on day, region and service only: computed once for each credential, and gone with it. */
function signingKey(credentials: { secretAccessKey: string }, day: string, region: string, service: string): Buffer {
  const secret = credentials.secretAccessKey;
  const scope = `${day}/${region}/${service}`;
  const cached = signingKeys.get(credentials);
  if (cached?.scope === scope && cached.secret === secret) return cached.key;
  const step = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
  const key = step(step(step(step(`AWS4${secret}`, day), region), service), 'aws4_request');
  signingKeys.set(credentials, { secret, scope, key });
  return key;
}
