import { createHash } from 'node:crypto';
import type { OutgoingRequest, ResponseHead } from '@countersign/core';
import type { DPoPHandle } from 'oauth4webapi';
import type { CryptoKey, JWK } from 'jose';

/** A key that tokens are bound to (RFC 9449), and the nonces that servers gave for it. */
export interface DpopKey {
  /** The private key, to be stored with the tokens. */
  readonly jwk: JWK;
  /** Makes the proofs for the authorization server. */
  readonly handle: DPoPHandle;
  /** Puts `DPoP` and `Authorization: DPoP` on a request to the resource, with a proof of its own. */
  sign(request: OutgoingRequest, accessToken: string): Promise<void>;
  /** Keeps the nonce of a response (section 9), to which the next proofs answer. True when it is a new one. */
  observe(response: ResponseHead): boolean;
}

/** A new key (ES256), or the one stored with the tokens. */
export async function dpopKey(stored?: JWK): Promise<DpopKey> {
  const [jose, oauth] = await Promise.all([import('jose'), import('oauth4webapi')]);
  const jwk = stored ?? (await jose.exportJWK((await jose.generateKeyPair('ES256', { extractable: true })).privateKey));
  const privateKey = (await jose.importJWK(jwk, 'ES256', { extractable: false })) as CryptoKey;
  const { kty, crv, x, y } = jwk;
  const publicJwk = { kty, crv, x, y } as JWK;
  const publicKey = (await jose.importJWK(publicJwk, 'ES256', { extractable: true })) as CryptoKey;
  let nonce: string | undefined;

  return {
    jwk,
    handle: oauth.DPoP({}, { privateKey, publicKey }),
    async sign(request, accessToken) {
      const { url, method } = request;
      const proof = await new jose.SignJWT({
        htm: method,
        htu: `${url.origin}${url.pathname}`, // without query and fragment, section 4.2
        ath: createHash('sha256').update(accessToken).digest('base64url'),
        jti: crypto.randomUUID(),
        ...(nonce === undefined ? {} : { nonce }),
      })
        .setProtectedHeader({ typ: 'dpop+jwt', alg: 'ES256', jwk: publicJwk })
        .setIssuedAt(Math.floor(request.attempt.time.getTime() / 1000))
        .sign(privateKey);
      request.headers.set('authorization', `DPoP ${accessToken}`);
      request.headers.set('dpop', proof);
    },
    observe(response) {
      const given = response.headers.get('dpop-nonce');
      if (given === undefined || given === nonce || given.length > 1024) return false;
      nonce = given;
      return true;
    },
  };
}
