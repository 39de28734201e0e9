import { defineAuthProvider, type AuthProviderDefinition } from '@countersign/core';
import { createOAuth } from './oauth.js';
import { oauthOptions, type OAuthOptions } from './options.js';

export { createOAuth, oauthOptions, type OAuthOptions };

/** `"auth": { "method": "oauth" }`: OAuth 2.1 as MCP asks for it, and the grants that need no person. */
export const oauth: AuthProviderDefinition<OAuthOptions> = {
  type: 'oauth',
  options: oauthOptions,
  sets: () => ['authorization'],
  create: createOAuth,
};

export default defineAuthProvider('@countersign/auth-oauth', oauth);
