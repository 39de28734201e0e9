import { createHash } from 'node:crypto';
import { hashKey, type AuthServices } from '@countersign/core';
import type { JWK } from 'jose';
import type { Client } from './client-auth.js';
import type { OAuthOptions } from './options.js';
import type { TokenAnswer } from './token-endpoint.js';

/** What a server said that it wants: kept until a sign-in answers it. */
export interface KeptChallenge {
  readonly scope?: string;
  readonly resourceMetadata?: string;
  readonly dpop?: true;
  /** The token is good, but lacks the scope. */
  readonly stepUp?: true;
}

/** What is stored of a sign-in: everything that using and renewing it takes, and from whom it was learned (R7). */
export interface Credential {
  readonly version: 1;
  readonly server: string;
  readonly issuer?: string;
  readonly tokenEndpoint?: string;
  readonly revocationEndpoint?: string;
  readonly resource?: string;
  readonly client?: Client;
  readonly accessToken?: string;
  readonly tokenType?: 'Bearer' | 'DPoP';
  /** Milliseconds since the epoch. */
  readonly obtainedAt?: number;
  readonly expiresAt?: number;
  readonly refreshToken?: string;
  /** Granted, as far as is known. */
  readonly scope?: string;
  /** Asked for at the sign-in: the base of the next step up. */
  readonly requestedScope?: string;
  readonly offline?: boolean;
  readonly dpopKey?: JWK;
  readonly claims?: Readonly<Record<string, unknown>>;
  /** The intent whose outcome this record holds. */
  readonly settled?: string;
  /** Why a person is needed; absent while the tokens serve. */
  readonly loginRequired?: string;
  readonly challenge?: KeptChallenge;
}

/** A credential that can be put on a request. */
export type Usable = Credential & { readonly accessToken: string };

/** Keys of the store, which core scopes to the server's URL, the provider and the profile. */
export interface Keys {
  readonly credential: string;
  readonly intent: string;
  /** Of a registration, by its issuer. */
  registration(issuer: string, kind: string): string;
}

/** The keys for a configuration: another client, issuer or resource is another credential. */
export function keysOf(options: Pick<OAuthOptions, 'clientId' | 'clientMetadataUrl' | 'issuer' | 'resource'>): Keys {
  const { clientId, clientMetadataUrl, issuer, resource } = options;
  const of = hashKey(clientId ?? clientMetadataUrl, issuer, resource === undefined ? undefined : String(resource));
  return {
    credential: `credential.${of}`,
    intent: `intent.${of}`,
    registration: (at, kind) => `client.${hashKey(at, kind)}`,
  };
}

/** Reads a record; `undefined` for none, for another version, and for one of another server. Conceals what is secret in it. */
export function parseCredential(
  text: string | undefined,
  server: URL,
  conceal: AuthServices['conceal'],
): Credential | undefined {
  if (text === undefined) return undefined;
  let record: Credential;
  try {
    record = JSON.parse(text) as Credential;
  } catch {
    return undefined;
  }
  if (record === null || typeof record !== 'object' || record.version !== 1 || record.server !== server.href)
    return undefined;
  for (const secret of [record.accessToken, record.refreshToken, record.client?.secret, record.dpopKey?.d])
    if (secret) conceal(secret);
  return record;
}

/** The record with a token answer in it. A refresh that omits the refresh token or the scope keeps them (RFC 6749 section 6). */
export function withTokens(before: Credential, answer: TokenAnswer, askedAt: number): Usable {
  const rest = without(before, 'loginRequired', 'challenge', 'expiresAt');
  return {
    ...rest,
    accessToken: answer.accessToken,
    tokenType: answer.tokenType.toLowerCase() === 'dpop' ? 'DPoP' : 'Bearer',
    obtainedAt: askedAt,
    ...(answer.expiresIn === undefined ? {} : { expiresAt: askedAt + answer.expiresIn * 1000 }),
    ...(answer.refreshToken === undefined ? {} : { refreshToken: answer.refreshToken }),
    ...(answer.scope === undefined ? {} : { scope: answer.scope }),
  };
}

/** True while the token can be put on a request: it is there, not the refused one, and not in the last tenth (at most 30 s) of its life. */
export function isUsable(record: Credential | undefined, now: number, refused?: string): record is Usable {
  if (!record?.accessToken || record.loginRequired !== undefined || record.accessToken === refused) return false;
  return record.expiresAt === undefined || now < record.expiresAt - margin(record);
}

/** True when the token has not expired, though it may soon. */
export function isAlive(record: Credential | undefined, now: number, refused?: string): record is Usable {
  if (!record?.accessToken || record.loginRequired !== undefined || record.accessToken === refused) return false;
  return record.expiresAt === undefined || now < record.expiresAt;
}

function margin({ expiresAt = 0, obtainedAt = 0 }: Credential): number {
  return Math.min(30_000, Math.max(0, expiresAt - obtainedAt) / 10);
}

/** Names a refresh token without holding it. */
export const fingerprint = (token: string): string => createHash('sha256').update(token).digest('hex');

/** A copy without some of its members. */
export function without<T extends object, K extends keyof T>(record: T, ...names: K[]): Omit<T, K> {
  const copy = { ...record };
  for (const name of names) delete copy[name];
  return copy;
}
