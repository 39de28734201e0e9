import { CountersignError, type Challenge } from '@countersign/core';
import { getMetadata, isStrings, printable, unreadable, type MetadataSettings } from './metadata.js';
import { allowed, secureUrl } from './trust.js';

/** What a protected resource says of itself (RFC 9728), checked. */
export interface ResourceMetadata {
  readonly resource: string;
  readonly issuers: readonly string[];
  readonly scopes: readonly string[] | undefined;
  readonly dpop: boolean;
}

// 401: the whole site is guarded, so nothing is published. Any other error is one (rule 2 of MCP), not an old server.
const NOT_PUBLISHED: readonly number[] = [401, 404, 405, 410];

/** RFC 9728, by the challenge or at the two well-known places; `undefined` only where there is none. */
export async function resourceMetadata(
  settings: MetadataSettings,
  challenge?: Challenge,
): Promise<ResourceMetadata | undefined> {
  const { server } = settings;
  const advertised = challenge?.parameters['resource_metadata'];
  if (advertised !== undefined) {
    const url = secureUrl(advertised, "The server's resource_metadata");
    if (url.origin !== server.origin && !allowed(url, settings.allowedOrigins))
      throw new CountersignError(
        'UNSAFE_URL',
        `The server ${server.origin} names its metadata on another origin, ${url.origin}.`,
        { remedy: `If you trust both, add "allowedOrigins": ["${url.origin}"] to the server's "auth".` },
      );
    const answer = await getMetadata(settings, url.href);
    if (answer.status !== 200 || !answer.json) throw unreadable(url, answer);
    return checkedResource(answer.json, url, server);
  }
  const path = server.pathname === '/' ? '' : server.pathname.replace(/\/$/, '');
  for (const place of path ? [path, ''] : ['']) {
    const url = new URL(`/.well-known/oauth-protected-resource${place}`, server);
    const answer = await getMetadata(settings, url.href);
    if (NOT_PUBLISHED.includes(answer.status)) continue;
    if (answer.status !== 200 || !answer.json) throw unreadable(url, answer);
    return checkedResource(answer.json, url, server);
  }
  return undefined;
}

function checkedResource(json: Record<string, unknown>, url: URL, server: URL): ResourceMetadata {
  const { resource, authorization_servers: issuers, scopes_supported: scopes } = json;
  if (typeof resource !== 'string' || !covers(resource, server))
    throw new CountersignError(
      'METADATA_INVALID',
      `${url.origin}${url.pathname} describes the resource ${printable(resource)}, which is not the server ${server.origin}${server.pathname}.`,
    );
  if (!isStrings(issuers) || issuers.length === 0)
    throw new CountersignError('METADATA_INVALID', `${url.origin}${url.pathname} names no authorization server.`);
  return {
    resource,
    issuers,
    scopes: isStrings(scopes) ? scopes : undefined,
    dpop: json['dpop_bound_access_tokens_required'] === true,
  };
}

/** Same origin, and a path that is the server's or a parent of it at a segment boundary. */
export function covers(resource: string, server: URL): boolean {
  if (!URL.canParse(resource)) return false;
  const { origin, pathname, search, hash } = new URL(resource);
  if (origin !== server.origin || hash || (search && search !== server.search)) return false;
  const parent = pathname.endsWith('/') ? pathname : `${pathname}/`;
  return `${server.pathname}/`.startsWith(parent) || server.pathname.startsWith(parent);
}
