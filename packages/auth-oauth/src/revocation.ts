import { clientAuthentication } from './client-auth.js';
import type { OAuthContext } from './context.js';
import type { Credential } from './credential.js';
import { request } from './http.js';

const DEADLINE = 5000;

/** Tells the authorization server that the tokens are done with (RFC 7009). They are forgotten here whatever it says. */
export async function revoke(context: OAuthContext, record: Credential): Promise<void> {
  const { client, revocationEndpoint: url, issuer, refreshToken, accessToken } = record;
  const token = refreshToken ?? accessToken;
  if (!client || url === undefined || issuer === undefined || token === undefined) return;
  try {
    const body = new URLSearchParams({
      token,
      token_type_hint: refreshToken === undefined ? 'access_token' : 'refresh_token',
    });
    const headers = new Headers({ accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' });
    const authenticate = await clientAuthentication(client, context.options, context.services);
    await authenticate({ issuer }, { client_id: client.id }, body, headers);
    const init = { method: 'POST', headers: Object.fromEntries(headers), body: body.toString() };
    const answer = await request(context.fetch, url, init, { deadline: DEADLINE });
    context.services.log.debug(`${context.services.server.name}: the revocation endpoint answered ${answer.status}`);
  } catch {
    context.services.log.debug(`${context.services.server.name}: the revocation endpoint could not be asked`);
  }
}
