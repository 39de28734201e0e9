import type { AuthClient } from 'google-auth-library';
import { CountersignError, type Expiring } from '@countersign/core';
import { clientOf, impersonated, ours, serviceAccount, type Minting } from './clients.js';
import type { CredentialFile, CredentialJson } from './credential-file.js';
import { metadata } from './metadata-server.js';
import { CLOUD_PLATFORM } from './options.js';

/** A token of Google's, with its end by the local clock. */
export interface GoogleToken extends Expiring {
  readonly token: string;
}

/** Who vouches for us: a credential file or the metadata server, with the account that it impersonates, if any. */
export interface Source {
  readonly file: CredentialFile | undefined;
  readonly impersonate: string | undefined;
}

const HOUR = 3600;

/** An access token of the source. */
export async function accessToken(source: Source, scopes: string[], minting: Minting): Promise<GoogleToken> {
  if (source.impersonate !== undefined) {
    const client = await impersonated(
      source.impersonate,
      await baseClient(source, [CLOUD_PLATFORM], minting),
      scopes,
      minting,
    );
    return tokenOf(client, 'endpoint', minting);
  }
  if (!source.file) {
    const path = `instance/service-accounts/default/token?scopes=${encodeURIComponent(scopes.join(','))}`;
    const answer = parseToken(await metadata(path, minting.services, minting.endpoint));
    return { token: answer.token, expiresAt: minting.services.clock.now() + answer.seconds * 1000 };
  }
  const { json } = source.file;
  const client = await clientOf(json, scopes, minting);
  const absolute = json.type === 'impersonated_service_account' || json.service_account_impersonation_url !== undefined;
  return tokenOf(client, absolute ? 'endpoint' : 'local', minting);
}

/** An ID token of the source, for an audience. Throws CREDENTIAL_UNAVAILABLE where the kind of credential has none. */
export async function idToken(source: Source, audience: string, minting: Minting): Promise<GoogleToken> {
  const token = await rawIdToken(source, audience, minting);
  const claims = claimsOf(token);
  if (typeof claims['exp'] !== 'number')
    throw new CountersignError('TOKEN_REQUEST_FAILED', 'Google answered with an ID token that has no expiry.');
  const audiences = Array.isArray(claims['aud']) ? claims['aud'] : [claims['aud']];
  if (!audiences.includes(audience)) throw noIdToken('These user credentials get ID tokens for gcloud itself only');
  return { token, expiresAt: bounded(claims['exp'] * 1000 - minting.endpoint.offset, minting.services.clock.now()) };
}

async function rawIdToken(source: Source, audience: string, minting: Minting): Promise<string> {
  const target = source.impersonate ?? federatedAccount(source.file?.json);
  if (target !== undefined) {
    const client = await impersonated(
      target,
      await baseClient(source, [CLOUD_PLATFORM], minting),
      [CLOUD_PLATFORM],
      minting,
    );
    return client.fetchIdToken(audience);
  }
  if (!source.file)
    return (
      await metadata(
        `instance/service-accounts/default/identity?audience=${encodeURIComponent(audience)}&format=full`,
        minting.services,
        minting.endpoint,
      )
    ).trim();
  const { json } = source.file;
  switch (json.type) {
    case 'service_account': {
      const client = await serviceAccount(json, [], minting, { target_audience: audience });
      const { id_token } = await client.authorize();
      if (!id_token) throw new CountersignError('TOKEN_REQUEST_FAILED', 'Google answered without an ID token.');
      return id_token;
    }
    case 'authorized_user':
    case 'impersonated_service_account': {
      const client = (await clientOf(json, [CLOUD_PLATFORM], minting)) as AuthClient & {
        fetchIdToken(audience: string): Promise<string>;
      };
      return client.fetchIdToken(audience);
    }
    default:
      throw noIdToken('Workload identity federation has no ID tokens of its own');
  }
}

function noIdToken(fact: string): CountersignError {
  return new CountersignError('CREDENTIAL_UNAVAILABLE', `${fact}.`, {
    remedy:
      'Add "impersonate": "<service account email>" to the server\'s "auth"; your identity needs roles/iam.serviceAccountTokenCreator on that account.',
  });
}

/** The account that an external_account file impersonates. */
function federatedAccount(json: CredentialJson | undefined): string | undefined {
  if (json?.type !== 'external_account') return undefined;
  return /\/serviceAccounts\/([^/:]+):generateAccessToken$/.exec(json.service_account_impersonation_url ?? '')?.[1];
}

/** The client that asks to impersonate: the source itself, without an impersonation of its own. */
async function baseClient({ file }: Source, scopes: string[], minting: Minting): Promise<AuthClient> {
  if (file) {
    const json = { ...file.json };
    if (json.type === 'external_account') delete (json as Record<string, unknown>)['service_account_impersonation_url'];
    return clientOf(json, scopes, minting);
  }
  const { OAuth2Client } = await import('google-auth-library');
  const { token } = await accessToken({ file: undefined, impersonate: undefined }, scopes, minting);
  const client = new OAuth2Client(ours(minting));
  client.setCredentials({ access_token: token, expiry_date: Date.now() + HOUR * 1000 });
  return client;
}

/** `expiresOn`: by the local clock (computed from a number of seconds), or by the endpoint's (an absolute time). */
async function tokenOf(
  client: AuthClient,
  expiresOn: 'local' | 'endpoint',
  { services, endpoint }: Minting,
): Promise<GoogleToken> {
  const { token } = (await client.getAccessToken()) as { token?: string | null };
  if (!token) throw new CountersignError('TOKEN_REQUEST_FAILED', 'Google answered without an access token.');
  const end = client.credentials.expiry_date ?? Date.now() + HOUR * 1000;
  const now = services.clock.now();
  const life = expiresOn === 'endpoint' ? end - endpoint.offset - now : end - Date.now();
  return { token, expiresAt: bounded(now + life, now) };
}

/** Google's longest life is twelve hours; what is no number is taken for one. */
function bounded(expiresAt: number, now: number): number {
  return Number.isNaN(expiresAt) ? now + HOUR * 1000 : Math.max(0, Math.min(expiresAt, now + 12 * HOUR * 1000));
}

function parseToken(text: string): { token: string; seconds: number } {
  try {
    const { access_token, expires_in } = JSON.parse(text) as { access_token?: unknown; expires_in?: unknown };
    const seconds = Number(expires_in);
    if (typeof access_token === 'string' && access_token)
      return { token: access_token, seconds: seconds >= 0 && seconds <= 43_200 ? seconds : HOUR };
  } catch {
    // told below, without the text
  }
  throw new CountersignError('TOKEN_REQUEST_FAILED', 'The metadata server answered without an access token.');
}

/** Public claims of a JWT, unverified: for its expiry, and for people. */
export function claimsOf(token: string): Record<string, unknown> {
  try {
    return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) as Record<string, unknown>;
  } catch {
    return {};
  }
}
