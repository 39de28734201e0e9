import type { Clock, ProviderStatus } from '@countersign/core';
import { jwtClaims } from './claims.js';
import { isAlive, type Credential } from './credential.js';
import { unrenewable } from './refresh.js';
import { scopesOf } from './scopes.js';

/** What a stored sign-in is, for people. */
export function statusOf(record: Credential | undefined, clock: Clock, detail: boolean): ProviderStatus {
  const source = 'OAuth sign-in';
  const unable = unrenewable(record);
  if (!record || (unable !== undefined && !isAlive(record, clock.now())))
    return {
      state: 'login_required',
      source,
      reason: unable ?? 'nobody has signed in yet',
      ...(record?.issuer ? { issuer: record.issuer } : {}),
    };
  const claims = { ...(detail ? jwtClaims(record.accessToken) : undefined), ...record.claims };
  const principal = [claims['email'], claims['preferred_username'], claims['upn'], claims['name'], claims['sub']].find(
    (one) => typeof one === 'string',
  );
  const scope = record.scope ?? record.requestedScope;
  const why = record.refreshToken === undefined ? noRefreshToken(record) : undefined;
  return {
    state: 'ready',
    source,
    ...(typeof principal === 'string' ? { principal } : {}),
    ...(record.issuer === undefined ? {} : { issuer: record.issuer }),
    ...(scope === undefined ? {} : { scopes: scopesOf(scope) }),
    ...(record.resource === undefined ? {} : { audience: record.resource }),
    ...(record.expiresAt === undefined ? {} : { expiresAt: new Date(record.expiresAt) }),
    refreshable: record.refreshToken !== undefined,
    ...(why === undefined ? {} : { reason: why }),
    ...(detail && Object.keys(claims).length > 0 ? { claims } : {}),
  };
}

function noRefreshToken(record: Credential): string {
  return scopesOf(record.requestedScope).includes('offline_access')
    ? 'the server gave no refresh token, although offline_access was asked for'
    : 'the server gave no refresh token; offline_access was not asked for, as the server does not list it or "scope" leaves it out';
}
