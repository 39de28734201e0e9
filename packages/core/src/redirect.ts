import { CountersignError } from './errors.js';

/** Redirects that a request may follow, one after the other. */
const MAX_REDIRECTS = 3;

/** A status that asks to go elsewhere (RFC 9110 15.4); 300, 304 and 305 don't. */
export function isRedirect(status: number): boolean {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308;
}

/**
 * Where a redirect leads, if it stays within the origin and keeps the method (R11): 307 and 308 for any, 301 to 303 for GET and HEAD, `count` up to
 * three. Throws REDIRECT_REFUSED for any other.
 */
export function followRedirect(
  server: string,
  from: URL,
  location: string,
  method: string,
  { status, count }: { status: number; count: number },
): URL {
  const refuse = (why: string): never => {
    throw new CountersignError(
      'REDIRECT_REFUSED',
      `Server ${server} answered ${status} ${why}; nothing was sent there.`,
      { server, status },
    );
  };
  if (!URL.canParse(location, from.href)) return refuse('with a location that is not a URL');
  const to = new URL(location, from);
  to.hash = '';
  if (to.origin !== from.origin || to.username || to.password)
    return refuse(
      `to another origin (${to.protocol === 'http:' || to.protocol === 'https:' ? to.origin : to.protocol})`,
    );
  if (status < 307 && method !== 'GET' && method !== 'HEAD') return refuse(`to a ${method}, which would become a GET`);
  if (count > MAX_REDIRECTS) return refuse(`more than ${MAX_REDIRECTS} times in a row`);
  return to;
}
