import { CountersignError, excerpt, type IssuedTokens } from '@countersign/core';
import { chooseAuthMethod, type Client } from './client-auth.js';
import type { OAuthContext } from './context.js';
import type { Discovery } from './discovery.js';
import { clientFor, registrationFor } from './registration.js';
import type { Flow } from './sign-in.js';

/** Takes over what another program was issued, in place of a sign-in. Throws LOGIN_FAILED for tokens that are of no use here. */
export const issuedTokens: Flow = async ({ context, found, interaction: { tokens }, signal, keep }) => {
  const { accessToken, refreshToken, expiresAt, scope, issuer } = tokens as IssuedTokens;
  const { clock, conceal } = context.services;
  for (const secret of [accessToken, refreshToken, tokens?.client?.secret]) if (secret !== undefined) conceal(secret);
  // R5, R7: whom the server names today must not get what another issued.
  if ((issuer ?? context.options.issuer) !== found.issuer)
    throw refused(
      context,
      issuer === undefined
        ? 'nothing tells who issued them; set "issuer"'
        : `they were issued by another authorization server than ${new URL(found.issuer).origin}`,
    );
  if (!/^[\x21-\x7e]+$/.test(accessToken))
    throw refused(context, "the access token holds characters that a header can't carry");
  const askedAt = clock.now();
  if (refreshToken === undefined && expiresAt !== undefined && expiresAt.getTime() <= askedAt)
    throw refused(context, 'the access token has ended, and there is no refresh token');
  await keep({
    client: await clientOf(context, found, tokens?.client, signal),
    answer: {
      accessToken,
      tokenType: 'Bearer',
      expiresIn: expiresAt && (expiresAt.getTime() - askedAt) / 1000,
      refreshToken,
      scope,
      idToken: undefined,
    },
    askedAt,
    requestedScope: scope,
  });
};

/** The client that the tokens belong to: a refresh token is of no use to another (RFC 6749 section 6). */
async function clientOf(
  context: OAuthContext,
  found: Discovery,
  client: IssuedTokens['client'],
  signal: AbortSignal,
): Promise<Client> {
  const { clientId } = context.options;
  if (!client) {
    if (registrationFor(context, found) !== 'dynamic') return clientFor(context, found, undefined, signal);
    throw refused(context, 'nothing tells which client they were issued to; set "clientId"');
  }
  if (clientId !== undefined && clientId !== client.id)
    throw refused(context, 'they were issued to another client than "clientId"');
  const { id, secret, authMethod } = client;
  if (secret === undefined) {
    if (authMethod !== undefined && authMethod !== 'none')
      throw refused(
        context,
        `their client authenticates by ${excerpt(authMethod, 40)}, and the means for it are not there`,
      );
    return { id, method: 'none', dynamic: true };
  }
  const known = (['client_secret_basic', 'client_secret_post', 'none'] as const).find((one) => one === authMethod);
  const means = { secret: true, key: false, certificate: false };
  const method = known ?? chooseAuthMethod(found.as.token_endpoint_auth_methods_supported, means);
  return { id, secret, method, dynamic: true };
}

function refused({ services }: OAuthContext, why: string): CountersignError {
  const { name } = services.server;
  return new CountersignError('LOGIN_FAILED', `The tokens for server ${name} can't be taken over: ${why}.`, {
    server: name,
    remedy: `Sign in: run \`countersign login ${name}\`.`,
  });
}
