import { CountersignError } from '@countersign/core';
import { configuredClient } from './registration.js';
import { resourceOf, tokenEndpointOf, type OAuthContext } from './context.js';
import { discover, type Discovery } from './discovery.js';
import type { DpopKey } from './dpop.js';
import type { TokenAnswer } from './token-endpoint.js';

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ID_JAG = 'urn:ietf:params:oauth:token-type:id-jag';
const ID_TOKEN = 'urn:ietf:params:oauth:token-type:id_token';

/** Gets a token without a person: client credentials, a JWT that was given, or the identity provider's word. Throws TokenRefusal. */
export async function unattendedGrant(
  context: OAuthContext,
  found: Discovery,
  scope: string | undefined,
  dpop: DpopKey | undefined,
): Promise<TokenAnswer> {
  const client = configuredClient(context, found);
  const resource = resourceOf(context.options, found);
  const as = { issuer: found.issuer, token_endpoint: tokenEndpointOf(found.as, client) as string };
  const ask = (grant: string, parameters: Record<string, string | undefined>): Promise<TokenAnswer> =>
    context.token({ as, client, grant, parameters, dpop });
  switch (context.options.grant) {
    case 'jwt_bearer': // RFC 7523 section 2.1
      return ask(JWT_BEARER, { assertion: needed(context, 'assertion'), scope, resource });
    case 'enterprise_managed':
      return ask(JWT_BEARER, { assertion: await idJag(context, found, resource, scope), scope, resource });
    default: // RFC 6749 section 4.4
      return ask('client_credentials', { scope, resource });
  }
}

/** Exchanges the user's ID token for an ID-JAG for the server's authorization server (RFC 8693, ID-JAG draft section 4.3). */
async function idJag(
  context: OAuthContext,
  found: Discovery,
  resource: string | undefined,
  scope: string | undefined,
): Promise<string> {
  const { idp } = context.options;
  if (!idp) throw new CountersignError('AUTH_OPTIONS_INVALID', 'Grant enterprise_managed needs "idp".');
  const as = await identityProvider(context, idp);
  const answer = await context.token({
    as,
    client: {
      id: idp.clientId,
      method: idp.clientSecret === undefined ? 'none' : 'client_secret_basic',
      ...(idp.clientSecret === undefined ? {} : { secret: idp.clientSecret }),
    },
    grant: TOKEN_EXCHANGE,
    parameters: {
      requested_token_type: ID_JAG,
      audience: found.issuer,
      resource,
      scope,
      subject_token: idp.idToken,
      subject_token_type: ID_TOKEN,
    },
  });
  return answer.accessToken;
}

async function identityProvider(
  { services, allowedOrigins, server }: OAuthContext,
  idp: NonNullable<OAuthContext['options']['idp']>,
): Promise<{ issuer: string; token_endpoint: string }> {
  if (idp.tokenEndpoint !== undefined)
    return { issuer: idp.issuer ?? new URL(idp.tokenEndpoint).origin, token_endpoint: idp.tokenEndpoint };
  if (idp.issuer === undefined)
    throw new CountersignError('AUTH_OPTIONS_INVALID', '"idp" needs "issuer" or "tokenEndpoint".');
  const { as } = await discover({
    server,
    fetch: services.fetch,
    options: { issuer: idp.issuer },
    allowedOrigins,
    issuerOnly: true,
  });
  if (as.token_endpoint === undefined)
    throw new CountersignError('METADATA_INVALID', `The identity provider ${idp.issuer} names no token endpoint.`);
  return { issuer: as.issuer, token_endpoint: as.token_endpoint };
}

function needed(context: OAuthContext, name: 'assertion'): string {
  const value = context.options[name];
  if (value !== undefined) return value;
  throw new CountersignError('AUTH_OPTIONS_INVALID', `Grant ${context.options.grant} needs "${name}".`);
}
