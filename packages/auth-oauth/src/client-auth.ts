import type { KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { CountersignError, type AuthServices } from '@countersign/core';
import type { CryptoKey } from 'jose';
import type { AuthorizationServer, ClientAuth } from 'oauth4webapi';
import type { AUTH_METHODS, OAuthOptions } from './options.js';

export type AuthMethod = (typeof AUTH_METHODS)[number];

/** A client at one authorization server. */
export interface Client {
  readonly id: string;
  readonly secret?: string;
  readonly method: AuthMethod;
  /** It was registered dynamically, and can be again. */
  readonly dynamic?: true;
}

/** What the client can prove itself with. */
export interface Means {
  readonly secret: boolean;
  readonly key: boolean;
  readonly certificate: boolean;
}

/**
 * The method to authenticate with: one that the client has the means for and the server lists. RFC 8414 takes
 * client_secret_basic where nothing is listed.
 */
export function chooseAuthMethod(listed: readonly string[] | undefined, means: Means): AuthMethod {
  const able: AuthMethod[] = [];
  if (means.key) able.push('private_key_jwt');
  if (means.certificate) able.push('tls_client_auth', 'self_signed_tls_client_auth');
  if (means.secret) able.push('client_secret_basic', 'client_secret_post');
  able.push('none');
  if (!listed) return able[0] as AuthMethod;
  return able.find((method) => listed.includes(method)) ?? (able[0] as AuthMethod);
}

/** Applies the client's authentication to a token request. `conceal` hears every assertion that is made. */
export async function clientAuthentication(
  client: Client,
  options: Pick<OAuthOptions, 'privateKey' | 'privateKeyFile' | 'signingAlg' | 'keyId'>,
  services: Pick<AuthServices, 'path' | 'conceal'>,
): Promise<ClientAuth> {
  switch (client.method) {
    case 'client_secret_basic':
      return basic(secretOf(client), services);
    case 'client_secret_post':
      return (_as, { client_id }, body) => {
        body.set('client_id', client_id);
        body.set('client_secret', secretOf(client));
      };
    case 'private_key_jwt':
      return privateKeyJwt(options, services);
    default: // mutual TLS authenticates by the connection's certificate; client_id names the client (RFC 8705 section 2)
      return (_as, { client_id }, body) => body.set('client_id', client_id);
  }
}

function secretOf(client: Client): string {
  if (client.secret !== undefined) return client.secret;
  throw new CountersignError('AUTH_OPTIONS_INVALID', `${client.method} needs a "clientSecret".`);
}

/** RFC 6749 section 2.3.1: both parts are form-urlencoded first, as WHATWG does, which leaves `*-._` as they are. */
function basic(secret: string, services: Pick<AuthServices, 'conceal'>): ClientAuth {
  return (_as, { client_id }, _body, headers) => {
    const credentials = Buffer.from(`${formEncoded(client_id)}:${formEncoded(secret)}`).toString('base64');
    services.conceal(credentials);
    headers.set('authorization', `Basic ${credentials}`);
  };
}

const formEncoded = (value: string): string => new URLSearchParams([['', value]]).toString().slice(1);

/** RFC 7523 section 2.2, the audience being the issuer (RFC 7523bis). */
async function privateKeyJwt(
  options: Pick<OAuthOptions, 'privateKey' | 'privateKeyFile' | 'signingAlg' | 'keyId'>,
  services: Pick<AuthServices, 'path' | 'conceal'>,
): Promise<ClientAuth> {
  const { SignJWT } = await import('jose');
  const { key, alg, kid } = await signingKey(options, services);
  return async (as: AuthorizationServer, { client_id }, body) => {
    const assertion = await new SignJWT()
      .setProtectedHeader({ alg, ...(kid === undefined ? {} : { kid }) })
      .setIssuer(client_id)
      .setSubject(client_id)
      .setAudience(as.issuer)
      .setJti(crypto.randomUUID())
      .setIssuedAt()
      .setNotBefore('-5s')
      .setExpirationTime('60s')
      .sign(key);
    services.conceal(assertion);
    body.set('client_id', client_id);
    body.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer');
    body.set('client_assertion', assertion);
  };
}

async function signingKey(
  options: Pick<OAuthOptions, 'privateKey' | 'privateKeyFile' | 'signingAlg' | 'keyId'>,
  services: Pick<AuthServices, 'path'>,
): Promise<{ key: CryptoKey; alg: string; kid: string | undefined }> {
  const { createPrivateKey } = await import('node:crypto');
  const { importJWK, importPKCS8 } = await import('jose');
  const subject = options.privateKey === undefined ? `The file ${options.privateKeyFile}` : 'privateKey';
  try {
    const text = options.privateKey ?? (await readFile(services.path(options.privateKeyFile ?? ''), 'utf8'));
    if (text.trimStart().startsWith('{')) {
      const jwk = JSON.parse(text) as { alg?: string; kid?: string };
      const alg = options.signingAlg ?? jwk.alg ?? algorithmOf(createPrivateKey({ key: jwk as never, format: 'jwk' }));
      return { key: (await importJWK(jwk, alg)) as CryptoKey, alg, kid: options.keyId ?? jwk.kid };
    }
    const pem = createPrivateKey(text.replaceAll('\\n', '\n'));
    const alg = options.signingAlg ?? algorithmOf(pem);
    const pkcs8 = pem.export({ type: 'pkcs8', format: 'pem' }).toString();
    return { key: await importPKCS8(pkcs8, alg), alg, kid: options.keyId };
  } catch (cause) {
    const code = (cause as { code?: string }).code;
    if (code === 'ENOENT' || code === 'EACCES')
      throw new CountersignError('CREDENTIAL_UNAVAILABLE', `${subject} could not be read (${code}).`);
    // No cause: a parser's message may quote the key.
    throw new CountersignError('AUTH_OPTIONS_INVALID', `${subject} is not a private key for signing, in PEM or JWK.`);
  }
}

function algorithmOf(key: KeyObject): string {
  switch (key.asymmetricKeyType) {
    case 'ec':
      return { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' }[
        key.asymmetricKeyDetails?.namedCurve ?? ''
      ] as string;
    case 'ed25519':
      return 'EdDSA';
    default:
      return 'RS256';
  }
}
