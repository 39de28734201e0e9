import { createHash, timingSafeEqual } from 'node:crypto';
import { CountersignError, excerpt, visibleText } from '@countersign/core';
import type { Discovery } from './discovery.js';
import { errorCode } from './token-endpoint.js';

/** Compares in constant time; a parameter that is repeated matches nothing. */
export function hasState(parameters: URLSearchParams, expected: string): boolean {
  const values = parameters.getAll('state');
  const digest = (value: string): Buffer => createHash('sha256').update(value).digest();
  return timingSafeEqual(digest(values[0] ?? ''), digest(expected)) && values.length === 1;
}

/** Someone refused, or the server did. */
export class AuthorizationRefused extends CountersignError {
  constructor(
    message: string,
    readonly denied: boolean,
    remedy?: string,
  ) {
    super('LOGIN_FAILED', message, remedy === undefined ? {} : { remedy });
  }
}

/**
 * Reads the code from a response whose state was right. The issuer is compared first (RFC 9207), by plain comparison;
 * on a mismatch nothing of the response is used or shown. Throws LOGIN_FAILED.
 */
export function authorizationCodeOf(
  parameters: URLSearchParams,
  { as, issuer }: Pick<Discovery, 'as' | 'issuer'>,
): string {
  const issuers = parameters.getAll('iss');
  const { origin } = new URL(issuer);
  const missing = issuers.length === 0;
  if (
    missing ? as.authorization_response_iss_parameter_supported === true : issuers.length > 1 || issuers[0] !== issuer
  )
    throw new AuthorizationRefused(
      missing
        ? `The sign-in's answer does not say that it comes from ${origin}, as that server's answers do; nothing of it was used.`
        : `The sign-in's answer does not come from ${origin}, where it was asked for; nothing of it was used.`,
      false,
      'Sign in again. If it stays, tell the operator of the authorization server.',
    );
  const [error] = parameters.getAll('error');
  if (error !== undefined) {
    const reason = visibleText(excerpt(parameters.get('error_description') ?? '', 200))
      .replace(/\s+/g, ' ')
      .trim();
    const code = errorCode(error) ?? 'an unknown error';
    throw new AuthorizationRefused(
      `The sign-in at ${origin} was refused: ${code}${reason ? ` (${reason})` : ''}.`,
      error === 'access_denied',
    );
  }
  const codes = parameters.getAll('code');
  if (codes.length !== 1 || !codes[0])
    throw new AuthorizationRefused(`The sign-in's answer from ${origin} holds no code.`, false);
  return codes[0];
}
