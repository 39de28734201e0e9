import type { AuthProvider, AuthServices } from '@countersign/core';
import { oauthContext } from './context.js';
import { interactiveOAuth } from './interactive.js';
import type { OAuthOptions } from './options.js';
import { unattendedOAuth } from './unattended.js';

/** Makes the provider for one server. Sends nothing. Throws AUTH_OPTIONS_INVALID. */
export function createOAuth(options: OAuthOptions, services: AuthServices): AuthProvider {
  const context = oauthContext(options, services);
  const { grant = 'authorization_code' } = options;
  return grant === 'authorization_code' || grant === 'device_code'
    ? interactiveOAuth(context)
    : unattendedOAuth(context);
}
