import { CountersignError, type Challenge } from '@countersign/core';
import type { AuthorizationServer } from 'oauth4webapi';
import { knownIssuer } from './known-issuers.js';
import { printable, type MetadataSettings } from './metadata.js';
import type { OAuthOptions } from './options.js';
import { resourceMetadata } from './resource-metadata.js';
import { serverMetadata } from './server-metadata.js';
import { secureUrl } from './trust.js';

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

export interface DiscoverySettings extends MetadataSettings {
  readonly options: Pick<
    OAuthOptions,
    'issuer' | 'tokenEndpoint' | 'authorizationEndpoint' | 'deviceAuthorizationEndpoint'
  >;
  /** The issuer's metadata alone is wanted, the resource's is not. */
  readonly issuerOnly?: boolean;
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

function chooseIssuer(issuers: readonly string[], pinned: string | undefined, server: URL): string {
  if (pinned === undefined) return issuers[0] as string;
  if (issuers.includes(pinned)) return pinned;
  throw new CountersignError(
    'METADATA_INVALID',
    `The server ${server.origin} names the authorization server ${printable(issuers[0])}, not the issuer ${pinned} of the configuration.`,
    { remedy: 'If the move is meant, change or remove "issuer" in the server\'s "auth", and sign in again.' },
  );
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
