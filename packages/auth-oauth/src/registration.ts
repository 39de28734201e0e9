import { CountersignError, excerpt, isCountersignError, visibleText } from '@countersign/core';
import { chooseAuthMethod, type AuthMethod, type Client } from './client-auth.js';
import type { OAuthContext } from './context.js';
import type { Discovery } from './discovery.js';
import { request } from './http.js';
import { AUTH_METHODS } from './options.js';
import { errorCode } from './token-endpoint.js';

/** How the client comes to its id at a server: in this order. */
export type Registration = 'configured' | 'metadata-document' | 'dynamic';

/** Which way is open at the server. Throws LOGIN_FAILED, which names the setting to give, when none is. */
export function registrationFor({ options, services }: OAuthContext, { as, issuer }: Discovery): Registration {
  if (options.clientId !== undefined) return 'configured';
  if (options.clientMetadataUrl !== undefined && as.client_id_metadata_document_supported) return 'metadata-document';
  if (as.registration_endpoint !== undefined) return 'dynamic';
  const documents = as.client_id_metadata_document_supported ? ' or "clientMetadataUrl"' : '';
  throw new CountersignError(
    'LOGIN_FAILED',
    `The authorization server ${new URL(issuer).origin} does not register clients by itself.`,
    {
      remedy: `Register a client there, and set "clientId"${documents} in the "auth" of server ${services.server.name}.`,
    },
  );
}

/** The client that the configuration names, with the authentication that its means and the server allow. */
export function configuredClient(
  { options, services }: OAuthContext,
  { as }: Discovery,
): Client & { readonly id: string } {
  const { clientId: id, clientSecret: secret } = options;
  if (id === undefined)
    throw new CountersignError(
      'AUTH_OPTIONS_INVALID',
      `The "auth" of server ${services.server.name} needs a "clientId".`,
    );
  const means = {
    secret: secret !== undefined,
    key: options.privateKey !== undefined || options.privateKeyFile !== undefined,
    certificate: services.tls.cert !== undefined,
  };
  const method = options.tokenEndpointAuthMethod ?? chooseAuthMethod(as.token_endpoint_auth_methods_supported, means);
  return { id, method, ...(secret === undefined ? {} : { secret }) };
}

/** The client for a sign-in with this redirect URI (none for the device flow). Registers one where it must, and keeps it. */
export async function clientFor(
  context: OAuthContext,
  found: Discovery,
  redirectUri: string | undefined,
  signal?: AbortSignal,
): Promise<Client> {
  switch (registrationFor(context, found)) {
    case 'configured':
      return configuredClient(context, found);
    case 'metadata-document': {
      const method = chooseAuthMethod(found.as.token_endpoint_auth_methods_supported, {
        secret: false,
        key: context.options.privateKey !== undefined || context.options.privateKeyFile !== undefined,
        certificate: false,
      });
      return { id: context.options.clientMetadataUrl as string, method };
    }
    case 'dynamic':
      return registered(context, found, redirectUri, signal);
  }
}

interface Registered {
  readonly client: Client;
  readonly redirectUri?: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt?: number;
}

/** RFC 7591, once for each issuer and redirect URI. */
async function registered(
  context: OAuthContext,
  found: Discovery,
  redirectUri: string | undefined,
  signal?: AbortSignal,
): Promise<Client> {
  const { keys, services } = context;
  const key = keys.registration(found.issuer, redirectUri === undefined ? 'device' : 'code');
  const kept = parse(await services.tokens.get(key));
  if (
    kept &&
    kept.redirectUri === redirectUri &&
    !(kept.expiresAt !== undefined && kept.expiresAt <= services.clock.now())
  ) {
    if (kept.client.secret !== undefined) services.conceal(kept.client.secret);
    return kept.client;
  }
  const fresh = await register(context, found, redirectUri, signal);
  await services.tokens
    .update(key, async () => JSON.stringify(fresh))
    .catch((error: unknown) => {
      if (!isCountersignError(error, 'STORE_FAILED')) throw error; // without it we register again the next time
    });
  return fresh.client;
}

function parse(text: string | undefined): Registered | undefined {
  try {
    return text === undefined ? undefined : (JSON.parse(text) as Registered);
  } catch {
    return undefined;
  }
}

async function register(
  context: OAuthContext,
  { as, issuer, dpop }: Discovery,
  redirectUri: string | undefined,
  signal?: AbortSignal,
): Promise<Registered> {
  const { services, options } = context;
  const listed = as.token_endpoint_auth_methods_supported;
  const wanted = ['none', 'client_secret_basic', 'client_secret_post'].find((one) => listed?.includes(one)) ?? 'none';
  const code = redirectUri !== undefined;
  const metadata = {
    client_name: 'Countersign',
    application_type: 'native',
    redirect_uris: code ? [redirectUri] : [],
    grant_types: [code ? 'authorization_code' : 'urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
    response_types: code ? ['code'] : [],
    token_endpoint_auth_method: options.tokenEndpointAuthMethod ?? wanted,
    ...((options.dpop ?? dpop) ? { dpop_bound_access_tokens: true } : {}),
  };
  const { origin } = new URL(issuer);
  const headers = { 'content-type': 'application/json', accept: 'application/json' };
  const answer = await request(
    context.fetch,
    as.registration_endpoint as string,
    { method: 'POST', headers, body: JSON.stringify(metadata) },
    { signal },
  ).catch((error: unknown) => {
    if (isCountersignError(error)) throw error;
    throw new CountersignError('UNREACHABLE', `The registration endpoint of ${origin} could not be reached.`, {
      cause: error,
    });
  });
  const {
    client_id: id,
    client_secret: secret,
    token_endpoint_auth_method: method,
    client_secret_expires_at: ends,
  } = answer.json ?? {};
  if (typeof secret === 'string') services.conceal(secret);
  if (answer.status >= 300 || typeof id !== 'string' || id === '') throw refused(origin, answer.status, answer.json);
  const hasSecret = typeof secret === 'string' && secret !== '';
  const agreed =
    AUTH_METHODS.find((one) => one === method) ??
    chooseAuthMethod(listed, { secret: hasSecret, key: false, certificate: false });
  return {
    client: { id, method: agreed satisfies AuthMethod, dynamic: true, ...(hasSecret ? { secret } : {}) },
    ...(code ? { redirectUri } : {}),
    ...(typeof ends === 'number' && ends > 0 ? { expiresAt: ends * 1000 } : {}),
  };
}

function refused(origin: string, status: number, json: Record<string, unknown> | undefined): CountersignError {
  const said = [errorCode(json?.['error']), words(json?.['error_description'])].filter(Boolean).join(': ');
  return new CountersignError(
    'LOGIN_FAILED',
    `The authorization server ${origin} refused to register a client (${[status, said].filter(Boolean).join(', ')}).`,
    { remedy: 'Register a client there by hand, and set "clientId" in the server\'s "auth".', status },
  );
}

const words = (value: unknown): string | undefined =>
  typeof value === 'string' ? visibleText(excerpt(value, 200)).replace(/\s+/g, ' ').trim() : undefined;
