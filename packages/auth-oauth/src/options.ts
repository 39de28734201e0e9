import * as z from 'zod/mini';

const described = <T extends z.core.$ZodType>(schema: T, description: string): T => {
  z.globalRegistry.add(schema, { description });
  return schema;
};
const secret = <T extends z.core.$ZodType>(schema: T, description: string): T => {
  z.globalRegistry.add(schema, { description, secret: true });
  return schema;
};
const text = () => z.string().check(z.minLength(1));
const url = () => z.string().check(z.refine((value) => URL.canParse(value), 'must be a URL'));

/** How a client proves itself at the token endpoint (RFC 7591 section 2, RFC 8705). */
export const AUTH_METHODS = [
  'none',
  'client_secret_basic',
  'client_secret_post',
  'private_key_jwt',
  'tls_client_auth',
  'self_signed_tls_client_auth',
] as const;

export const GRANTS = [
  'authorization_code',
  'client_credentials',
  'device_code',
  'jwt_bearer',
  'enterprise_managed',
] as const;

/** The identity provider of an enterprise-managed authorization: gives an ID-JAG for the user's ID token. */
const idp = z.strictObject({
  issuer: described(z.optional(url()), "The identity provider's issuer; its metadata names the token endpoint."),
  tokenEndpoint: described(z.optional(url()), 'Its token endpoint, where metadata is not wanted.'),
  clientId: described(text(), 'The client id there.'),
  clientSecret: secret(z.optional(text()), 'The client secret there.'),
  idToken: secret(text(), "The user's ID token, issued to that client."),
});

/** The `auth` options of method `oauth`. None is needed with a server that supports discovery and registration. */
export const oauthOptions = z.strictObject({
  grant: described(z.optional(z.enum(GRANTS)), 'How tokens are obtained; `authorization_code` by default.'),
  clientId: described(z.optional(text()), 'The id of a client that is registered already.'),
  clientSecret: secret(z.optional(text()), 'Its secret.'),
  clientMetadataUrl: described(
    z.optional(
      z
        .string()
        .check(
          z.refine(
            (value) => URL.canParse(value) && new URL(value).protocol === 'https:' && new URL(value).pathname !== '/',
            'must be an https URL with a path',
          ),
        ),
    ),
    'The https URL of a Client ID Metadata Document, used as client id where the server supports it.',
  ),
  scope: described(
    z.optional(z.union([z.string(), z.array(text())])),
    'The scopes to ask for. By default those that the server challenges for or publishes.',
  ),
  redirectUri: described(
    z.optional(url()),
    'The whole redirect URI, byte for byte, where a provider demands one. Loopback or https.',
  ),
  callbackPort: described(
    z.optional(z.int().check(z.gte(0), z.lte(65535))),
    'The port that the callback server listens on; 3000 by default, 0 for any free one.',
  ),
  callbackHost: described(
    z.optional(z.enum(['localhost', '127.0.0.1', '[::1]'])),
    'The host in the redirect URI; `localhost` by default.',
  ),
  loginTimeout: described(
    z.optional(z.number().check(z.positive())),
    'Seconds that a sign-in may take; 300 by default.',
  ),
  resource: described(
    z.optional(z.union([z.literal(false), url()])),
    'The `resource` parameter (RFC 8707); false leaves it out. By default what the server publishes.',
  ),
  issuer: described(z.optional(url()), 'The only authorization server that is accepted.'),
  authorizationEndpoint: described(z.optional(url()), 'The authorization endpoint, without discovery.'),
  tokenEndpoint: described(z.optional(url()), 'The token endpoint, without discovery.'),
  deviceAuthorizationEndpoint: described(z.optional(url()), 'The device authorization endpoint, without discovery.'),
  authorizationParams: described(
    z.optional(z.record(z.string(), z.string())),
    'More parameters for the authorization request, such as `prompt` or `access_type`.',
  ),
  tokenEndpointAuthMethod: described(
    z.optional(z.enum(AUTH_METHODS)),
    'How the client authenticates at the token endpoint. By default by what it has and the server accepts.',
  ),
  pkce: described(
    z.optional(z.enum(['required', 'assume'])),
    '`assume` signs in although the server does not say that it supports PKCE. S256 is sent either way.',
  ),
  allowedOrigins: described(
    z.optional(z.array(url())),
    "Origins besides the issuer's own site where its endpoints may be, and besides the server's where its metadata may be.",
  ),
  loginHint: described(z.optional(text()), 'The account to sign in with: sent as `login_hint`.'),
  dpop: described(
    z.optional(z.boolean()),
    'Bind tokens to a key (DPoP, RFC 9449). By default where the server asks for it.',
  ),
  privateKey: secret(z.optional(text()), 'The key for `private_key_jwt`: PEM (PKCS #8) or JWK.'),
  privateKeyFile: described(z.optional(text()), 'A file with that key.'),
  signingAlg: described(z.optional(text()), 'The algorithm that it signs with, such as ES256.'),
  keyId: described(z.optional(text()), 'The `kid` that the assertion names.'),
  assertion: secret(z.optional(text()), 'The JWT that `jwt_bearer` presents (RFC 7523), such as a workload identity.'),
  idp: described(z.optional(idp), 'The identity provider of `enterprise_managed`.'),
});

export type OAuthOptions = z.infer<typeof oauthOptions>;
