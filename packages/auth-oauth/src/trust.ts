import { CountersignError } from '@countersign/core';
import { knownIssuer } from './known-issuers.js';

const LOOPBACK_V4 = /^127(?:\.\d{1,3}){3}$/;

/** localhost, 127.0.0.0/8 and ::1. */
export function isLoopback(url: URL): boolean {
  const { hostname } = url;
  return hostname === 'localhost' || hostname === '[::1]' || LOOPBACK_V4.test(hostname);
}

/** https, or http on loopback. */
export function isSecure(url: URL): boolean {
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url));
}

/** The registrable domain, private suffixes such as github.io included; an IP address or loopback is its own site. Ports don't count. */
export async function siteOf(url: URL): Promise<string> {
  if (isLoopback(url)) return 'loopback';
  const { getDomain } = await import('tldts');
  return getDomain(url.hostname, { allowPrivateDomains: true, validateHostname: false }) ?? url.hostname;
}

/** What a server named, as a URL that may be used. Throws UNSAFE_URL unless it is https, or http on loopback. */
export function secureUrl(value: unknown, subject: string): URL {
  if (typeof value !== 'string' || value.length > 8192 || !URL.canParse(value))
    throw new CountersignError('METADATA_INVALID', `${subject} is not a URL.`);
  const url = new URL(value);
  if (!isSecure(url))
    throw new CountersignError('UNSAFE_URL', `${subject} is a ${url.protocol} URL; only https is accepted.`);
  if (url.username || url.password) throw new CountersignError('UNSAFE_URL', `${subject} carries a user name.`);
  return url;
}

/**
 * An endpoint from an authorization server's metadata (R5): on the issuer's own site, on a site that is known to be
 * its, or on an allowed origin. Throws UNSAFE_URL, which prints the line that would allow it.
 */
export async function trustedEndpoint(
  value: unknown,
  subject: string,
  issuer: URL,
  allowedOrigins: readonly string[],
): Promise<URL> {
  const url = secureUrl(value, subject);
  if (allowed(url, allowedOrigins)) return url;
  if ((await siteOf(url)) === (await siteOf(issuer))) return url;
  if (knownIssuer(issuer.href)?.endpointSites?.some((known) => `.${url.hostname}`.endsWith(`.${known}`))) return url;
  throw new CountersignError(
    'UNSAFE_URL',
    `${subject} is at ${url.origin}, which is another site than its issuer's, ${issuer.origin}.`,
    { remedy: `If you trust both, add "allowedOrigins": ["${url.origin}"] to the server's "auth".` },
  );
}

/** True when the URL's origin is in the list. */
export function allowed(url: URL, origins: readonly string[]): boolean {
  return origins.some((origin) => URL.canParse(origin) && new URL(origin).origin === url.origin);
}
