import { CountersignError } from '@countersign/core';
import type { AuthorizationServer } from 'oauth4webapi';
import { getMetadata, isStrings, printable, unreadable, type MetadataSettings } from './metadata.js';
import type { Answer } from './http.js';
import { allowed, secureUrl, siteOf, trustedEndpoint } from './trust.js';

/** RFC 8414 and OpenID Connect Discovery, in MCP's order of well-known places; `undefined` where there is none. */
export async function serverMetadata(
  settings: MetadataSettings,
  issuer: string,
  advertised: boolean,
): Promise<AuthorizationServer | undefined> {
  const base = secureUrl(issuer, 'The issuer');
  let odd: CountersignError | undefined;
  for (const url of wellKnownPlaces(base)) {
    const answer = await getMetadata(settings, url.href);
    if (answer.status >= 500) throw unreadable(url, answer);
    if (isMissing(answer)) continue;
    if (!answer.json) {
      odd ??= unreadable(url, answer);
      continue;
    }
    return checkedServer(answer.json, issuer, base, advertised, settings);
  }
  if (odd && advertised) throw odd;
  return undefined;
}

/** MCP: with a path the three forms, without one the two at the root. */
export function wellKnownPlaces(issuer: URL): URL[] {
  const path = issuer.pathname.replace(/\/$/, '');
  const at = (pathname: string): URL => new URL(pathname, issuer.origin);
  if (!path) return [at('/.well-known/oauth-authorization-server'), at('/.well-known/openid-configuration')];
  return [
    at(`/.well-known/oauth-authorization-server${path}`),
    at(`/.well-known/openid-configuration${path}`),
    at(`${path}/.well-known/openid-configuration`),
  ];
}

const ENDPOINTS = [
  'authorization_endpoint',
  'token_endpoint',
  'registration_endpoint',
  'device_authorization_endpoint',
  'revocation_endpoint',
] as const;

async function checkedServer(
  json: Record<string, unknown>,
  issuer: string,
  base: URL,
  advertised: boolean,
  settings: MetadataSettings,
): Promise<AuthorizationServer> {
  const { issuer: claimed } = json;
  // RFC 8414 section 3.3. Plain comparison: "https://as" and "https://as/" are two issuers.
  if (typeof claimed !== 'string' || (advertised && claimed !== issuer))
    throw new CountersignError(
      'METADATA_INVALID',
      `The metadata of the authorization server ${printable(issuer)} is issued by ${printable(claimed)}.`,
    );
  const own = secureUrl(claimed, 'The issuer');
  if (!advertised && (await siteOf(own)) !== (await siteOf(base)) && !allowed(own, settings.allowedOrigins))
    throw new CountersignError(
      'METADATA_INVALID',
      `The server ${base.origin} claims the issuer ${printable(claimed)}.`,
    );
  const endpoints: Record<string, string> = {};
  for (const name of ENDPOINTS) {
    if (json[name] === undefined || json[name] === null) continue;
    const subject = `The ${name.replaceAll('_', ' ')} of ${own.origin}`;
    endpoints[name] = (await trustedEndpoint(json[name], subject, own, settings.allowedOrigins)).href;
  }
  const { mtls_endpoint_aliases: aliases } = json;
  const mtls: Record<string, string> = {};
  if (typeof aliases === 'object' && aliases !== null)
    for (const name of ENDPOINTS) {
      const alias = (aliases as Record<string, unknown>)[name];
      if (alias === undefined) continue;
      const subject = `The mutual TLS ${name.replaceAll('_', ' ')} of ${own.origin}`;
      mtls[name] = (await trustedEndpoint(alias, subject, own, settings.allowedOrigins)).href;
    }
  return { ...listsOf(json), issuer: claimed, ...endpoints, mtls_endpoint_aliases: mtls };
}

const LISTS = [
  'scopes_supported',
  'grant_types_supported',
  'token_endpoint_auth_methods_supported',
  'token_endpoint_auth_signing_alg_values_supported',
  'code_challenge_methods_supported',
  'dpop_signing_alg_values_supported',
] as const;
const FLAGS = ['authorization_response_iss_parameter_supported', 'client_id_metadata_document_supported'] as const;

/** Only what is used, and only in the form that it must have. */
function listsOf(json: Record<string, unknown>): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  for (const name of LISTS) if (isStrings(json[name])) kept[name] = json[name];
  for (const name of FLAGS) if (json[name] === true) kept[name] = true;
  return kept;
}

const isMissing = ({ status }: Answer): boolean => status >= 400 && status < 500 && status !== 429;
