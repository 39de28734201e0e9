import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { SignatureV4 } from '@smithy/signature-v4';

/** Codes by the two dialects in which AWS's services answer. */
const CODES = {
  incomplete: { json: 'IncompleteSignatureException', xml: 'IncompleteSignature' },
  missing: { json: 'MissingAuthenticationTokenException', xml: 'MissingAuthenticationToken' },
  mismatch: { json: 'InvalidSignatureException', xml: 'SignatureDoesNotMatch' },
  unknownKey: { json: 'UnrecognizedClientException', xml: 'InvalidClientTokenId' },
  expiredToken: { json: 'ExpiredTokenException', xml: 'ExpiredToken' },
};
const WINDOW = 5 * 60_000;
const MISMATCH =
  'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.';

/**
 * @typedef {{ secretAccessKey: string, sessionToken?: string, expiresAt?: Date }} AwsKey
 *
 * Accepts AWS Signature Version 4 in the Authorization header, recomputed by `@smithy/signature-v4` over the bytes that came, and refuses as AWS
 * does: 403, a code, its message. The clock is the guard's.
 * @param {object} options
 * @param {Map<string, AwsKey>} options.keys By access key id; change it to rotate them.
 * @param {string} options.region
 * @param {string} options.service
 * @param {'json' | 'xml'} [options.dialect]
 * @param {boolean} [options.unsignedPayload] Takes `x-amz-content-sha256: UNSIGNED-PAYLOAD` (VPC Lattice).
 * @param {boolean} [options.once] Refuses a signature that was used before, which AWS does not: proves that each request is signed anew.
 * @returns {import('./guard.mjs').Verify}
 */
export function awsSigV4({ keys, region, service, dialect = 'json', unsignedPayload = false, once = false }) {
  const seen = new Set();
  return async (head, body) => {
    const refuse = (/** @type {keyof typeof CODES} */ fault, /** @type {string} */ message) =>
      refusal(dialect, CODES[fault][dialect], message);
    const shown = head.headers.authorization;
    if (shown === undefined) return refuse('missing', 'Missing Authentication Token');
    const parts = parse(shown);
    if (parts === undefined)
      return refuse('incomplete', 'Authorization header requires Credential, SignedHeaders and Signature parameters.');
    const duplicate = repeated(head.rawHeaders, parts.signedHeaders);
    if (duplicate !== undefined) return refuse('incomplete', `Header ${duplicate} was sent twice.`);

    const date = String(head.headers['x-amz-date']);
    const time = basicTime(date);
    if (time === undefined) return refuse('incomplete', 'Date must be in ISO-8601 basic format, in X-Amz-Date.');
    if (time < head.time.getTime() - WINDOW) {
      const limit = basic(head.time.getTime() - WINDOW);
      return refuse(
        'mismatch',
        `Signature expired: ${date} is now earlier than ${limit} (${basic(head.time.getTime())} - 5 min.)`,
      );
    }
    if (time > head.time.getTime() + WINDOW) {
      const limit = basic(head.time.getTime() + WINDOW);
      return refuse(
        'mismatch',
        `Signature not yet current: ${date} is still later than ${limit} (${basic(head.time.getTime())} + 5 min.)`,
      );
    }
    if (parts.date !== date.slice(0, 8))
      return refuse(
        'mismatch',
        `Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '${parts.date}' != '${date.slice(0, 8)}', from '${date}'.`,
      );
    if (parts.region !== region)
      return refuse('mismatch', `Credential should be scoped to a valid region, not '${parts.region}'.`);
    if (parts.service !== service)
      return refuse('mismatch', `Credential should be scoped to correct service: '${service}'.`);

    const key = keys.get(parts.accessKeyId);
    if (key === undefined) return refuse('unknownKey', 'The security token included in the request is invalid.');
    if (head.headers['x-amz-security-token'] !== key.sessionToken)
      return refuse('unknownKey', 'The security token included in the request is invalid.');
    if (key.expiresAt !== undefined && key.expiresAt <= head.time)
      return refuse('expiredToken', 'The security token included in the request is expired');

    const unsigned = mustBeSigned(head.headers).find((name) => !parts.signedHeaders.includes(name));
    if (unsigned !== undefined)
      return refuse('mismatch', `'${unsigned}' must be a 'SignedHeader' in the AWS Authorization.`);
    const claimed = head.headers['x-amz-content-sha256'];
    if (claimed !== undefined && claimed !== sha256(body) && !(unsignedPayload && claimed === 'UNSIGNED-PAYLOAD')) {
      return refuse('mismatch', "The provided 'x-amz-content-sha256' header does not match what was computed.");
    }
    const expected = await recompute(head, body, parts, key, new Date(time));
    if (!same(expected, parts.signature)) return refuse('mismatch', MISMATCH);
    if (once && seen.has(parts.signature)) return refuse('mismatch', 'This signature was used before.');
    seen.add(parts.signature);
    return undefined;
  };
}

/**
 * @typedef {{ accessKeyId: string, date: string, region: string, service: string, signedHeaders: string[], signature: string }} Parts
 * @param {string} authorization
 * @returns {Parts | undefined}
 */
function parse(authorization) {
  const match =
    /^AWS4-HMAC-SHA256 Credential=([^/,\s]+)\/(\d{8})\/([^/,\s]+)\/([^/,\s]+)\/aws4_request, ?SignedHeaders=([^,\s]+), ?Signature=([0-9a-f]{64})$/.exec(
      authorization,
    );
  if (match === null) return undefined;
  const [, accessKeyId = '', date = '', region = '', service = '', signedHeaders = '', signature = ''] = match;
  return { accessKeyId, date, region, service, signedHeaders: signedHeaders.split(';'), signature };
}

/**
 * @param {import('./guard.mjs').RequestHead} head @param {Buffer} body @param {Parts} parts @param {AwsKey} key @param {Date} signingDate
 * @returns {Promise<string | undefined>}
 */
async function recompute(head, body, parts, key, signingDate) {
  const signer = new SignatureV4({
    credentials: { accessKeyId: parts.accessKeyId, secretAccessKey: key.secretAccessKey },
    region: parts.region,
    service: parts.service,
    sha256: Sha256,
    applyChecksum: false,
    uriEscapePath: parts.service !== 's3',
  });
  const { hostname, port, path, query } = split(head);
  const headers = Object.fromEntries(parts.signedHeaders.map((name) => [name, String(head.headers[name] ?? '')]));
  // UNSIGNED-PAYLOAD stands for the hash even where the header that says so was left out of the signature.
  const claimed = head.headers['x-amz-content-sha256'];
  if (claimed !== undefined) headers['x-amz-content-sha256'] = String(claimed);
  const signed = await signer.sign(
    { method: head.method, protocol: 'https:', hostname, ...port, path, query, headers, body },
    { signingDate, signableHeaders: new Set(parts.signedHeaders) },
  );
  return parse(signed.headers.authorization ?? '')?.signature;
}

/** @param {import('./guard.mjs').RequestHead} head */
function split({ path: target, headers }) {
  const question = target.indexOf('?');
  const path = question === -1 ? target : target.slice(0, question);
  const [, hostname = '', port] = /^(.*?)(?::(\d+))?$/.exec(headers.host ?? '') ?? [];
  /** @type {Record<string, string | string[]>} */
  const query = Object.create(null);
  for (const pair of question === -1 ? [] : target.slice(question + 1).split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const name = decoded(equals === -1 ? pair : pair.slice(0, equals));
    const value = decoded(equals === -1 ? '' : pair.slice(equals + 1));
    const before = query[name];
    query[name] = before === undefined ? value : [before, value].flat();
  }
  return { hostname, port: port === undefined ? {} : { port: Number(port) }, path, query: { ...query } };
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** AWS wants the host and every x-amz-* header under the signature. @param {import('node:http').IncomingHttpHeaders} headers */
function mustBeSigned(headers) {
  return ['host', ...Object.keys(headers).filter((name) => name === 'x-amz-date' || name === 'x-amz-security-token')];
}

/** @param {readonly string[]} rawHeaders @param {string[]} names */
function repeated(rawHeaders, names) {
  const sent = rawHeaders.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase());
  return names.find((name) => sent.indexOf(name) !== sent.lastIndexOf(name));
}

/** @param {string} text */
function basicTime(text) {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  return match === null
    ? undefined
    : Date.parse(`${match[1]}-${match[2]}-${match[3]}T${match[4]}:${match[5]}:${match[6]}Z`);
}

/** @param {number} time */
function basic(time) {
  return new Date(time).toISOString().replace(/[-:]|\.\d+/g, '');
}

/** @param {'json' | 'xml'} dialect @param {string} code @param {string} message @returns {import('./guard.mjs').Answer} */
function refusal(dialect, code, message) {
  if (dialect === 'json') {
    const body = JSON.stringify({ __type: code, message });
    return { status: 403, headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amzn-errortype': code }, body };
  }
  const body = `<ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error></ErrorResponse>`;
  return { status: 403, headers: { 'content-type': 'text/xml' }, body };
}

/** @param {string | undefined} expected @param {string} shown */
function same(expected, shown) {
  return (
    expected !== undefined &&
    expected.length === shown.length &&
    timingSafeEqual(Buffer.from(expected), Buffer.from(shown))
  );
}

/** @param {Buffer} body */
function sha256(body) {
  return createHash('sha256').update(body).digest('hex');
}

/** The hash that the signer asks for, by Node's own. */
class Sha256 {
  /** @param {any} [secret] */
  constructor(secret) {
    this.hash = secret === undefined ? createHash('sha256') : createHmac('sha256', secret);
  }
  /** @param {any} chunk */
  update(chunk) {
    this.hash.update(chunk);
  }
  async digest() {
    return new Uint8Array(this.hash.digest());
  }
  reset() {}
}
