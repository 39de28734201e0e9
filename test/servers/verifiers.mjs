/** @typedef {import('./guard.mjs').Answer} Answer @typedef {import('./guard.mjs').Verify} Verify */

/**
 * Accepts a bearer token (RFC 6750): the one given, or any that is in the set at the moment.
 * @param {string | ReadonlySet<string>} tokens
 * @param {{ header?: string, realm?: string }} [options]
 * @returns {Verify}
 */
export function bearer(tokens, { header = 'authorization', realm = 'mcp' } = {}) {
  const accepted = typeof tokens === 'string' ? new Set([tokens]) : tokens;
  return ({ headers }) => {
    const value = headers[header];
    if (value === undefined) return unauthorized(`Bearer realm="${realm}"`, 'No bearer token was sent.');
    const token = /^Bearer ([\w.~+/-]+=*)$/i.exec(String(value))?.[1];
    if (token !== undefined && accepted.has(token)) return undefined;
    return unauthorized(
      `Bearer realm="${realm}", error="invalid_token", error_description="The access token is unknown or expired"`,
      'The access token is unknown or expired.',
    );
  };
}

/**
 * Accepts an API key together with a timestamp (ISO 8601) that lies within `windowSeconds` of the guard's clock and an id that was never seen
 * before, so that headers which were stored and sent again are refused.
 * @param {{ key: string, keyHeader?: string, timestampHeader?: string, idHeader?: string, windowSeconds?: number }} options
 * @returns {Verify}
 */
export function apiKey({
  key,
  keyHeader = 'x-api-key',
  timestampHeader = 'x-timestamp',
  idHeader = 'x-request-id',
  windowSeconds = 30,
}) {
  const seen = new Set();
  return ({ headers, time }) => {
    const refuse = (/** @type {string} */ reason) => unauthorized('ApiKey', reason);
    if (headers[keyHeader] !== key) return refuse(`Header ${keyHeader} has no known key.`);
    const timestamp = String(headers[timestampHeader]);
    const id = headers[idHeader];
    if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(timestamp))
      return refuse(`Header ${timestampHeader} is no ISO 8601 time.`);
    if (!(Math.abs(Date.parse(timestamp) - time.getTime()) <= windowSeconds * 1000))
      return refuse(`Header ${timestampHeader} is stale.`);
    if (id === undefined || id === '') return refuse(`Header ${idHeader} is missing.`);
    if (seen.has(id)) return refuse(`Header ${idHeader} was used before.`);
    seen.add(id);
    return undefined;
  };
}

/**
 * Accepts requests whose headers have exactly these values.
 * @param {Record<string, string>} expected
 * @returns {Verify}
 */
export function exactHeaders(expected) {
  return ({ headers }) => {
    const wrong = Object.entries(expected).find(([name, value]) => headers[name.toLowerCase()] !== value);
    return wrong === undefined ? undefined : unauthorized('Headers', `Header ${wrong[0]} is missing or wrong.`);
  };
}

/**
 * Accepts a client certificate of the guard's authority with this common name (mTLS). The guard needs `clientCertificates: 'asked'`, or `'required'`.
 * @param {string} commonName
 * @returns {Verify}
 */
export function clientCertificate(commonName) {
  return ({ certificate }) =>
    certificate?.subject?.CN === commonName
      ? undefined
      : json(403, { error: 'No acceptable client certificate was shown.' });
}

/**
 * Accepts what all of the verifiers accept; the first refusal counts.
 * @param {Verify[]} verifiers
 * @returns {Verify}
 */
export function all(...verifiers) {
  return async (head, body) => {
    for (const verify of verifiers) {
      const refusal = await verify(head, body);
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  };
}

/** An answer with a JSON body. @param {number} status @param {unknown} value @param {Record<string, string>} [headers] @returns {Answer} */
export function json(status, value, headers = {}) {
  return { status, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(value) };
}

/** A 401 with its challenge. @param {string} challenge @param {string} reason @returns {Answer} */
export function unauthorized(challenge, reason) {
  return json(401, { error: reason }, { 'www-authenticate': challenge });
}
