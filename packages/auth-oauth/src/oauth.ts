import { CountersignError, type AuthProvider, type AuthServices } from '@countersign/core';
import { oauthContext } from './context.js';
import { interactiveOAuth } from './interactive.js';
import type { OAuthOptions } from './options.js';
import { unattendedOAuth } from './unattended.js';

/** Makes the provider for one server. Sends nothing. Throws AUTH_OPTIONS_INVALID where options are missing that the grant needs. */
export function createOAuth(options: OAuthOptions, services: AuthServices): AuthProvider {
  const context = oauthContext(options, services);
  const { grant = 'authorization_code' } = options;
  const missing = missingOption(options, grant);
  if (missing !== undefined) {
    const { name } = services.server;
    throw new CountersignError('AUTH_OPTIONS_INVALID', `The "auth" of server ${name} needs ${missing}.`, {
      server: name,
    });
  }
  return grant === 'authorization_code' || grant === 'device_code'
    ? interactiveOAuth(context)
    : unattendedOAuth(context);
}

function missingOption(options: OAuthOptions, grant: NonNullable<OAuthOptions['grant']>): string | undefined {
  const { clientId, clientSecret, privateKey, privateKeyFile, tokenEndpointAuthMethod: method } = options;
  const key = privateKey ?? privateKeyFile;
  if (grant !== 'authorization_code' && grant !== 'device_code' && clientId === undefined)
    return `"clientId" for grant ${grant}`;
  if (grant === 'jwt_bearer' && options.assertion === undefined) return '"assertion" for grant jwt_bearer';
  if (grant === 'enterprise_managed' && options.idp === undefined) return '"idp" for grant enterprise_managed';
  if (grant === 'enterprise_managed' && !options.idp?.issuer && !options.idp?.tokenEndpoint)
    return '"issuer" or "tokenEndpoint" in "idp"';
  if (method === 'private_key_jwt' && key === undefined) return '"privateKey" or "privateKeyFile" for private_key_jwt';
  if (method?.startsWith('client_secret') && clientId !== undefined && clientSecret === undefined)
    return `"clientSecret" for ${method}`;
  return undefined;
}
