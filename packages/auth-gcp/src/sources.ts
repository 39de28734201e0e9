import { createPrivateKey } from 'node:crypto';
import type { AuthClient, JWT } from 'google-auth-library';
import { CountersignError, type AuthServices, type EndpointFetch, type Expiring } from '@countersign/core';
import type { CredentialFile, CredentialJson } from './credential-file.js';
import { metadata } from './metadata-server.js';
import { CLOUD_PLATFORM } from './options.js';

/** A token of Google's, with its end by the local clock. */
export interface GoogleToken extends Expiring {
  readonly token: string;
}

/** What a source needs to mint. */
export interface Minting {
  readonly services: AuthServices;
  readonly endpoint: EndpointFetch;
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

/**
 * A new client for each token: the library's cached tokens can't all be dropped, and a new one reads a rotated key. Each client
 * gets our transport explicitly; the library's own constructors forget it for nested credentials and for the STS.
 */
async function clientOf(json: CredentialJson, scopes: string[], minting: Minting): Promise<AuthClient> {
  const library = await import('google-auth-library');
  switch (json.type) {
    case 'service_account':
      return serviceAccount(json, scopes, minting);
    case 'authorized_user':
      return new library.UserRefreshClient({
        clientId: required(json, 'client_id'),
        clientSecret: required(json, 'client_secret'),
        refreshToken: required(json, 'refresh_token'),
        ...ours(minting),
      });
    case 'external_account': {
      checkExecutable(json, minting.services);
      const aws = withAwsEnvironment(json, minting.services.env);
      const client = aws
        ? new library.AwsClient({ ...aws, ...ours(minting) } as never)
        : library.ExternalAccountClient.fromJSON({ ...json, ...ours(minting) } as never);
      if (!client) throw unsupported(json);
      client.scopes = scopes;
      (client as unknown as { stsCredential: { transporter: unknown } }).stsCredential.transporter = client.transporter;
      return client;
    }
    case 'external_account_authorized_user':
      return new library.ExternalAccountAuthorizedUserClient({ ...json, ...ours(minting) } as never);
    case 'impersonated_service_account': {
      const principal = /\/serviceAccounts\/([^/:]+):/.exec(json.service_account_impersonation_url ?? '')?.[1];
      if (!json.source_credentials || principal === undefined) throw missing(json, 'source_credentials');
      const source = await clientOf(json.source_credentials, [CLOUD_PLATFORM], minting);
      return impersonated(principal, source, scopes, minting, json.delegates);
    }
    default:
      throw unsupported(json);
  }
}

async function serviceAccount(json: CredentialJson, scopes: string[], minting: Minting, claims = {}): Promise<JWT> {
  const { JWT } = await import('google-auth-library');
  const { services, endpoint } = minting;
  // The claims replace the library's, which knows neither our clock nor how far it is off.
  const iat = Math.floor((services.clock.now() + endpoint.offset) / 1000) - 5;
  return new JWT({
    email: required(json, 'client_email'),
    key: usableKey(required(json, 'private_key')),
    ...(json.private_key_id === undefined ? {} : { keyId: json.private_key_id }),
    scopes,
    additionalClaims: { iat, exp: iat + HOUR, ...claims },
    ...ours(minting),
  });
}

async function impersonated(
  targetPrincipal: string,
  sourceClient: AuthClient,
  targetScopes: string[],
  minting: Minting,
  delegates?: string[],
) {
  const { Impersonated } = await import('google-auth-library');
  return new Impersonated({
    sourceClient: sourceClient,
    targetPrincipal,
    targetScopes,
    delegates: delegates ?? [],
    lifetime: HOUR,
    ...ours(minting),
  });
}

/**
 * Our fetch, and no repetition of a request that got no answer: its deadline is over then. Without the library's interceptors,
 * which print tokens to stderr where GOOGLE_SDK_NODE_LOGGING is set.
 */
function ours({ endpoint }: Minting) {
  const fetchImplementation = (input: Parameters<typeof fetch>[0], init: RequestInit = {}) =>
    endpoint.fetch(input, {
      ...(init.method === undefined ? {} : { method: init.method }),
      ...(init.headers === undefined ? {} : { headers: init.headers }),
      ...(init.body === undefined ? {} : { body: init.body }),
    });
  return {
    transporterOptions: { fetchImplementation, retryConfig: { noResponseRetries: 0, retry: 1 } } as never,
    useAuthRequestParameters: false,
  };
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

function required(json: CredentialJson, field: string): string {
  const value = json[field];
  if (typeof value !== 'string' || value === '') throw missing(json, field);
  return value;
}

const missing = (json: CredentialJson, field: string): CountersignError =>
  new CountersignError(
    'AUTH_OPTIONS_INVALID',
    `The Google credential file of type ${quoted(json.type)} has no "${field}".`,
  );

const unsupported = (json: CredentialJson): CountersignError =>
  new CountersignError(
    'AUTH_OPTIONS_INVALID',
    `The Google credential file is of type ${quoted(json.type)}, which is not one that Countersign knows.`,
  );

const quoted = (type: string): string => JSON.stringify(type.slice(0, 40));

/** The key with its line breaks, or AUTH_OPTIONS_INVALID before anything is asked. */
function usableKey(key: string): string {
  const pem = key.replaceAll('\\n', '\n');
  try {
    createPrivateKey(pem);
    return pem;
  } catch {
    throw new CountersignError(
      'AUTH_OPTIONS_INVALID',
      'The "private_key" of the Google credential file is not a private key in PEM.',
      {
        remedy: 'Download the key file again; a key copied by hand often loses its line breaks.',
      },
    );
  }
}

/** AWS credentials of our environment (.env included) in the place of process.env's, which is all that the library reads. */
function withAwsEnvironment(
  { credential_source: source, ...json }: CredentialJson,
  env: AuthServices['env'],
): object | undefined {
  const region = env['AWS_REGION'] || env['AWS_DEFAULT_REGION'];
  const accessKeyId = env['AWS_ACCESS_KEY_ID'];
  const secretAccessKey = env['AWS_SECRET_ACCESS_KEY'];
  const aws = (source as { environment_id?: unknown } | undefined)?.environment_id !== undefined;
  if (!aws || !region || !accessKeyId || !secretAccessKey) return undefined;
  const token = env['AWS_SESSION_TOKEN'];
  return {
    ...json,
    aws_security_credentials_supplier: {
      getAwsRegion: async () => region,
      getAwsSecurityCredentials: async () => ({ accessKeyId, secretAccessKey, ...(token ? { token } : {}) }),
    },
  };
}

function checkExecutable(json: CredentialJson, { env }: AuthServices): void {
  const source = json['credential_source'] as { executable?: unknown } | undefined;
  if (!source?.executable || process.env['GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES'] === '1') return;
  const inFile = env['GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES'] === '1';
  throw new CountersignError(
    'CREDENTIAL_UNAVAILABLE',
    'The Google credential file runs a program, which is not allowed.',
    {
      remedy: `Set GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1 in the environment${inFile ? ' itself, not in .env,' : ''} if you trust the program that the file names.`,
    },
  );
}
