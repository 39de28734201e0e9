import { createPrivateKey } from 'node:crypto';
import type { AuthClient, JWT } from 'google-auth-library';
import { CountersignError, type AuthServices, type EndpointFetch } from '@countersign/core';
import type { CredentialJson } from './credential-file.js';
import { CLOUD_PLATFORM } from './options.js';

/** What a source needs to mint. */
export interface Minting {
  readonly services: AuthServices;
  readonly endpoint: EndpointFetch;
}

const HOUR = 3600; // seconds

/**
 * A new client for each token: the library's cached tokens can't all be dropped, and a new one reads a rotated key. Each client
 * gets our transport explicitly; the library's own constructors forget it for nested credentials and for the STS.
 */
export async function clientOf(json: CredentialJson, scopes: string[], minting: Minting): Promise<AuthClient> {
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

/** A service account's client; with `target_audience` among the claims it gets ID tokens. */
export async function serviceAccount(
  json: CredentialJson,
  scopes: string[],
  minting: Minting,
  claims = {},
): Promise<JWT> {
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

/** The client of a service account that `sourceClient` impersonates. */
export async function impersonated(
  targetPrincipal: string,
  sourceClient: AuthClient,
  targetScopes: string[],
  minting: Minting,
  delegates?: string[],
) {
  const { Impersonated } = await import('google-auth-library');
  return new Impersonated({
    sourceClient,
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
export function ours({ endpoint }: Minting) {
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
