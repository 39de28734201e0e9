import { CountersignError, type AuthServices, type Challenge, type GuardedFetch } from '@countersign/core';
import type { AuthorizationServer } from 'oauth4webapi';
import { clientAuthentication, type Client } from './client-auth.js';
import { keysOf, type KeptChallenge, type Keys } from './credential.js';
import { discover, type Discovery } from './discovery.js';
import type { DpopKey } from './dpop.js';
import { unionOfScopes } from './scopes.js';
import type { OAuthOptions } from './options.js';
import { requestToken, TokenRefusal, type TokenAnswer } from './token-endpoint.js';

/** What all parts of one server's OAuth share. */
export interface OAuthContext {
  readonly options: OAuthOptions;
  readonly services: AuthServices;
  readonly server: URL;
  readonly keys: Keys;
  readonly allowedOrigins: readonly string[];
  /** For token endpoints and the like: guarded as URLs that a server named, unless the configuration names them. */
  readonly fetch: GuardedFetch;
  readonly find: (challenge?: KeptChallenge, signal?: AbortSignal) => Promise<Discovery>;
  /** Asks a token endpoint as the client, with its authentication. Throws TokenRefusal. */
  token(wanted: {
    as: Pick<AuthorizationServer, 'issuer' | 'token_endpoint'>;
    client: Client;
    grant: string;
    parameters: Record<string, string | undefined>;
    dpop?: DpopKey | undefined;
    deadline?: number;
    signal?: AbortSignal | undefined;
  }): Promise<TokenAnswer>;
  readonly loginRequired: (reason: string) => CountersignError;
}

export function oauthContext(options: OAuthOptions, services: AuthServices): OAuthContext {
  const { url, name } = services.server;
  if (!url)
    throw new CountersignError('AUTH_OPTIONS_INVALID', `Server ${name} has no "url", which method oauth needs.`, {
      server: name,
    });
  const allowedOrigins = [...(options.allowedOrigins ?? []), ...services.allowedOrigins];
  const keys = keysOf(options);
  // A URL on an origin that the configuration names is not one that the server leads us to.
  const configured = [url.origin, options.tokenEndpoint, options.deviceAuthorizationEndpoint, ...allowedOrigins];
  const fetch: GuardedFetch = (input, init) => {
    const target = new URL(input instanceof Request ? input.url : input);
    const own = configured.some(
      (one) => one !== undefined && URL.canParse(one) && new URL(one).origin === target.origin,
    );
    const answer = own ? services.fetch(input, init) : services.fetchNamed(input, init);
    const method = init?.method ?? (input instanceof Request ? input.method : 'GET');
    const say = (outcome: string): void =>
      services.log.debug(`${name}: oauth ${method} ${target.origin}${target.pathname} -> ${outcome}`);
    answer.then(
      ({ status }) => say(String(status)),
      () => say('no answer'),
    );
    return answer;
  };
  return {
    options,
    services,
    server: url,
    keys,
    allowedOrigins,
    fetch,
    find: (challenge, signal) =>
      discover({ server: url, fetch, options, allowedOrigins, signal }, asChallenge(challenge)),
    async token({ as, client, grant, parameters, dpop, deadline, signal }) {
      try {
        return await requestToken({
          as: as,
          clientId: client.id,
          authentication: await clientAuthentication(client, options, services),
          grant,
          parameters,
          fetch,
          conceal: (secret) => services.conceal(secret),
          secrets: [client.secret],
          dpop: dpop?.handle,
          signal,
          ...(deadline === undefined ? {} : { deadline }),
        });
      } catch (error) {
        // The server no longer knows the client: the next sign-in registers one anew.
        if (error instanceof TokenRefusal && error.error === 'invalid_client' && client.dynamic)
          for (const kind of ['code', 'device']) await services.tokens.delete(keys.registration(as.issuer, kind));
        throw error;
      }
    },
    loginRequired: (reason) =>
      new CountersignError('LOGIN_REQUIRED', `Server ${name} needs a sign-in: ${reason}.`, {
        server: name,
        remedy: `Run \`countersign login ${name}\`.`,
      }),
  };
}

/** What of a challenge is worth keeping until somebody signs in. */
export function keptChallenge(challenge: Challenge | undefined): KeptChallenge {
  if (!challenge) return {};
  const { scope, resource_metadata: resourceMetadata, error } = challenge.parameters;
  return {
    ...(scope === undefined ? {} : { scope }),
    ...(resourceMetadata === undefined ? {} : { resourceMetadata }),
    ...(challenge.scheme === 'dpop' ? { dpop: true } : {}),
    ...(error === 'insufficient_scope' ? { stepUp: true } : {}),
  };
}

function asChallenge(kept: KeptChallenge | undefined): Challenge | undefined {
  if (!kept) return undefined;
  return {
    scheme: kept.dpop ? 'dpop' : 'bearer',
    parameters: kept.resourceMetadata === undefined ? {} : { resource_metadata: kept.resourceMetadata },
  };
}

/** The `resource` to send: the configuration's, else what was published. */
export function resourceOf(options: OAuthOptions, found: Pick<Discovery, 'resource'>): string | undefined {
  if (options.resource === false) return undefined;
  return options.resource ?? found.resource;
}

/**
 * The scopes to ask for: the configuration's; else those of the challenge with those asked for before; else all that
 * the resource publishes; else none. A step up adds what was challenged in any case.
 */
export function scopeFor(
  { options }: Pick<OAuthContext, 'options'>,
  found: Pick<Discovery, 'scopes'>,
  challenge: KeptChallenge | undefined,
  before: string | undefined,
): string | undefined {
  const { scope } = options;
  const configured = scope === undefined ? undefined : unionOfScopes(...[scope].flat());
  if (scope !== undefined) return challenge?.stepUp ? unionOfScopes(configured, before, challenge.scope) : configured;
  return unionOfScopes(before, challenge?.scope) ?? unionOfScopes(...(found.scopes ?? []));
}

/** The endpoint for a client: with a certificate the server's alias for mutual TLS (RFC 8705 section 5). */
export function tokenEndpointOf(as: AuthorizationServer, client: Client): string | undefined {
  const alias = client.method.includes('tls') ? as.mtls_endpoint_aliases?.token_endpoint : undefined;
  return alias ?? as.token_endpoint;
}
