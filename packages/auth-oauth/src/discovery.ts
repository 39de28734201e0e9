import { CountersignError, isCountersignError, type Challenge, type GuardedFetch } from '@countersign/core';
import type { AuthorizationServer } from 'oauth4webapi';
import { knownIssuer } from './known-issuers.js';
import type { OAuthOptions } from './options.js';
import { request, type Answer } from './http.js';
import { allowed, isSecure, secureUrl, siteOf, trustedEndpoint } from './trust.js';

/** Where tokens for a server come from, as found and checked. */
export interface Discovery {
  /** The identifier byte for byte as it was advertised: registrations and tokens belong to it. */
  readonly issuer: string;
  /** Metadata whose endpoints are checked (R5). */
  readonly as: AuthorizationServer;
  /** The `resource` to send (RFC 8707), byte for byte; `undefined` where none was published. */
  readonly resource: string | undefined;
  /** Scopes that the resource's metadata lists. */
  readonly scopes: readonly string[] | undefined;
  /** The resource takes only DPoP-bound tokens. */
  readonly dpop: boolean;
  /** No metadata was found: endpoints are the defaults of MCP 2025-03-26. */
  readonly guessed: boolean;
}

export interface DiscoverySettings {
  readonly server: URL;
  /** For URLs that a server named. */
  readonly fetch: GuardedFetch;
  readonly options: Pick<
    OAuthOptions,
    'issuer' | 'tokenEndpoint' | 'authorizationEndpoint' | 'deviceAuthorizationEndpoint'
  >;
  /** The issuer's metadata alone is wanted, the resource's is not. */
  readonly issuerOnly?: boolean;
  readonly allowedOrigins: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

/**
 * Finds the authorization server: protected resource metadata (RFC 9728), then its authorization server's metadata
 * (RFC 8414), by the rules of MCP. `challenge` is the server's WWW-Authenticate, if there was one. Throws
 * METADATA_INVALID or UNSAFE_URL, or what kept the metadata from being read.
 */
export async function discover(settings: DiscoverySettings, challenge?: Challenge): Promise<Discovery> {
  const { options } = settings;
  if (options.tokenEndpoint) return configured(settings, options.tokenEndpoint);
  const resource = settings.issuerOnly ? undefined : await resourceMetadata(settings, challenge);
  const named = challenge?.scheme === 'dpop';
  if (resource) {
    const issuer = chooseIssuer(resource.issuers, options.issuer, settings.server);
    const as = await serverMetadata(settings, issuer, true);
    if (!as)
      throw new CountersignError(
        'METADATA_INVALID',
        `The authorization server ${printable(issuer)} publishes no metadata.`,
        { remedy: 'Set "tokenEndpoint" and "authorizationEndpoint" in the server\'s "auth".' },
      );
    return {
      issuer,
      as,
      resource: resource.resource,
      scopes: resource.scopes,
      dpop: named || resource.dpop,
      guessed: false,
    };
  }
  if (options.issuer) {
    const as = await serverMetadata(settings, options.issuer, true);
    if (!as) throw new CountersignError('METADATA_INVALID', `The issuer ${options.issuer} publishes no metadata.`);
    return { issuer: options.issuer, as, resource: undefined, scopes: undefined, dpop: named, guessed: false };
  }
  return old(settings, named);
}

/** A server of 2025-03-26: its own origin is the authorization server, with default endpoints if it has no metadata. */
async function old(settings: DiscoverySettings, dpop: boolean): Promise<Discovery> {
  const { origin } = settings.server;
  const as = await serverMetadata(settings, origin, false);
  const common = { resource: undefined, scopes: undefined, dpop };
  if (as) return { issuer: as.issuer, as, ...common, guessed: false };
  const guess: AuthorizationServer = {
    issuer: origin,
    authorization_endpoint: `${origin}/authorize`,
    token_endpoint: `${origin}/token`,
    registration_endpoint: `${origin}/register`,
  };
  return { issuer: origin, as: guess, ...common, guessed: true };
}

/** Without discovery: the endpoints of the configuration. */
function configured({ options }: DiscoverySettings, tokenEndpoint: string): Discovery {
  const issuer = options.issuer ?? new URL(tokenEndpoint).origin;
  const as: AuthorizationServer = {
    issuer,
    token_endpoint: secureUrl(tokenEndpoint, 'tokenEndpoint').href,
    code_challenge_methods_supported: ['S256'],
    ...(options.authorizationEndpoint
      ? { authorization_endpoint: secureUrl(options.authorizationEndpoint, 'authorizationEndpoint').href }
      : {}),
    ...(options.deviceAuthorizationEndpoint
      ? {
          device_authorization_endpoint: secureUrl(options.deviceAuthorizationEndpoint, 'deviceAuthorizationEndpoint')
            .href,
        }
      : {}),
  };
  return { issuer, as, resource: undefined, scopes: undefined, dpop: false, guessed: false };
}

// 401: the whole site is guarded, so nothing is published. Any other error is one (rule 2 of MCP), not an old server.
const NOT_PUBLISHED: readonly number[] = [401, 404, 405, 410];

interface ResourceMetadata {
  readonly resource: string;
  readonly issuers: readonly string[];
  readonly scopes: readonly string[] | undefined;
  readonly dpop: boolean;
}

/** RFC 9728, by the challenge or at the two well-known places; `undefined` only where there is none. */
async function resourceMetadata(
  settings: DiscoverySettings,
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
    const answer = await get(settings, url.href);
    if (answer.status !== 200 || !answer.json) throw unreadable(url, answer);
    return checkedResource(answer.json, url, server);
  }
  const path = server.pathname === '/' ? '' : server.pathname.replace(/\/$/, '');
  for (const place of path ? [path, ''] : ['']) {
    const url = new URL(`/.well-known/oauth-protected-resource${place}`, server);
    const answer = await get(settings, url.href);
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

function chooseIssuer(issuers: readonly string[], pinned: string | undefined, server: URL): string {
  if (pinned === undefined) return issuers[0] as string;
  if (issuers.includes(pinned)) return pinned;
  throw new CountersignError(
    'METADATA_INVALID',
    `The server ${server.origin} names the authorization server ${printable(issuers[0])}, not the issuer ${pinned} of the configuration.`,
    { remedy: 'If the move is meant, change or remove "issuer" in the server\'s "auth", and sign in again.' },
  );
}

/** RFC 8414 and OpenID Connect Discovery, in MCP's order of well-known places; `undefined` where there is none. */
async function serverMetadata(
  settings: DiscoverySettings,
  issuer: string,
  advertised: boolean,
): Promise<AuthorizationServer | undefined> {
  const base = secureUrl(issuer, 'The issuer');
  let odd: CountersignError | undefined;
  for (const url of wellKnownPlaces(base)) {
    const answer = await get(settings, url.href);
    if (answer.status >= 500) throw unreadable(url, answer);
    if (isMissing(answer)) continue;
    if (!answer.json) {
      odd ??= unreadable(url, answer);
      continue;
    }
    return checkedServer(answer.json, issuer, base, advertised, settings);
  }
  if (odd && advertised) throw odd;
  return undefined;
}

/** MCP: with a path the three forms, without one the two at the root. */
export function wellKnownPlaces(issuer: URL): URL[] {
  const path = issuer.pathname.replace(/\/$/, '');
  const at = (pathname: string): URL => new URL(pathname, issuer.origin);
  if (!path) return [at('/.well-known/oauth-authorization-server'), at('/.well-known/openid-configuration')];
  return [
    at(`/.well-known/oauth-authorization-server${path}`),
    at(`/.well-known/openid-configuration${path}`),
    at(`${path}/.well-known/openid-configuration`),
  ];
}

const ENDPOINTS = [
  'authorization_endpoint',
  'token_endpoint',
  'registration_endpoint',
  'device_authorization_endpoint',
  'revocation_endpoint',
  'pushed_authorization_request_endpoint',
] as const;

async function checkedServer(
  json: Record<string, unknown>,
  issuer: string,
  base: URL,
  advertised: boolean,
  settings: DiscoverySettings,
): Promise<AuthorizationServer> {
  const { issuer: claimed } = json;
  // RFC 8414 section 3.3. Plain comparison: "https://as" and "https://as/" are two issuers.
  if (typeof claimed !== 'string' || (advertised && claimed !== issuer))
    throw new CountersignError(
      'METADATA_INVALID',
      `The metadata of the authorization server ${printable(issuer)} is issued by ${printable(claimed)}.`,
    );
  const own = secureUrl(claimed, 'The issuer');
  if (!advertised && (await siteOf(own)) !== (await siteOf(base)) && !allowed(own, settings.allowedOrigins))
    throw new CountersignError(
      'METADATA_INVALID',
      `The server ${base.origin} claims the issuer ${printable(claimed)}.`,
    );
  const endpoints: Record<string, string> = {};
  for (const name of ENDPOINTS) {
    if (json[name] === undefined || json[name] === null) continue;
    const subject = `The ${name.replaceAll('_', ' ')} of ${own.origin}`;
    endpoints[name] = (await trustedEndpoint(json[name], subject, own, settings.allowedOrigins)).href;
  }
  const { mtls_endpoint_aliases: aliases } = json;
  const mtls: Record<string, string> = {};
  if (typeof aliases === 'object' && aliases !== null)
    for (const name of ENDPOINTS) {
      const alias = (aliases as Record<string, unknown>)[name];
      if (alias === undefined) continue;
      const subject = `The mutual TLS ${name.replaceAll('_', ' ')} of ${own.origin}`;
      mtls[name] = (await trustedEndpoint(alias, subject, own, settings.allowedOrigins)).href;
    }
  return { ...listsOf(json), issuer: claimed, ...endpoints, mtls_endpoint_aliases: mtls };
}

const LISTS = [
  'scopes_supported',
  'grant_types_supported',
  'token_endpoint_auth_methods_supported',
  'token_endpoint_auth_signing_alg_values_supported',
  'code_challenge_methods_supported',
  'dpop_signing_alg_values_supported',
] as const;
const FLAGS = [
  'authorization_response_iss_parameter_supported',
  'client_id_metadata_document_supported',
  'require_pushed_authorization_requests',
] as const;

/** Only what is used, and only in the form that it must have. */
function listsOf(json: Record<string, unknown>): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  for (const name of LISTS) if (isStrings(json[name])) kept[name] = json[name];
  for (const name of FLAGS) if (json[name] === true) kept[name] = true;
  return kept;
}

/** Throws unless the server does PKCE with S256, as it says, as is known of it, or as the configuration assumes. */
export function requirePkce(found: Discovery, pkce: OAuthOptions['pkce']): void {
  if (found.guessed || pkce === 'assume' || knownIssuer(found.issuer)?.pkce) return;
  if (found.as.code_challenge_methods_supported?.includes('S256')) return;
  throw new CountersignError(
    'METADATA_INVALID',
    `The authorization server ${printable(found.issuer)} does not say that it supports PKCE with S256.`,
    { remedy: 'If it does all the same, set "pkce": "assume" in the server\'s "auth".' },
  );
}

async function get(settings: DiscoverySettings, url: string): Promise<Answer> {
  if (!isSecure(new URL(url)))
    throw new CountersignError('UNSAFE_URL', `Metadata at ${new URL(url).origin} would be read over plain http.`);
  try {
    return await request(settings.fetch, url, { headers: { accept: 'application/json' } }, { signal: settings.signal });
  } catch (error) {
    if (isCountersignError(error)) throw error;
    throw new CountersignError('UNREACHABLE', `The metadata at ${new URL(url).host} could not be read.`, {
      cause: error,
    });
  }
}

const isMissing = ({ status }: Answer): boolean => status >= 400 && status < 500 && status !== 429;

function unreadable(url: URL, answer: Answer): CountersignError {
  const place = `${url.origin}${url.pathname}`;
  if (answer.status >= 300 && answer.status < 400)
    return new CountersignError('REDIRECT_REFUSED', `The metadata at ${place} is a redirect, which is not followed.`);
  if (answer.status !== 200)
    return new CountersignError('METADATA_INVALID', `The metadata at ${place} answered ${answer.status}.`);
  return new CountersignError('METADATA_INVALID', `The metadata at ${place} is not a JSON object.`);
}

const isStrings = (value: unknown): value is string[] =>
  Array.isArray(value) && value.length <= 1000 && value.every((one) => typeof one === 'string');

/** Others' text in a sentence of ours. */
function printable(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, 200).replace(/[^\x21-\x7e]/g, '?') : 'nothing';
}
