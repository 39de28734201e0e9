import { CountersignError, isCountersignError } from '@countersign/core';
import { resourceOf, tokenEndpointOf, type OAuthContext } from './context.js';
import { clientAuthentication } from './client-auth.js';
import type { Discovery } from './discovery.js';
import { request } from './http.js';
import { clientFor } from './registration.js';
import type { Flow } from './sign-in.js';
import { errorCode, TokenRefusal } from './token-endpoint.js';
import { isSecure } from './trust.js';

const GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

/** Signs a person in on another device (RFC 8628). Throws LOGIN_FAILED. */
export const deviceCode: Flow = async ({ context, found, scope, dpop, interaction, signal, keep }) => {
  const { as, issuer } = found;
  if (as.device_authorization_endpoint === undefined)
    throw new CountersignError(
      'LOGIN_FAILED',
      `The authorization server ${new URL(issuer).origin} has no device flow.`,
      {
        remedy: 'Sign in without --device; over SSH use --no-browser.',
      },
    );
  const client = await clientFor(context, found, undefined, signal);
  const { clock } = context.services;
  const parameters = { scope, resource: resourceOf(context.options, found) };
  const started = await begin(context, found, client, parameters, signal);
  context.services.conceal(started.deviceCode);
  interaction.tell({
    type: 'device',
    verificationUri: started.verificationUri,
    userCode: started.userCode,
    expiresAt: new Date(clock.now() + started.expiresIn * 1000),
    ...(started.complete === undefined ? {} : { verificationUriComplete: started.complete }),
  });
  let { interval } = started;
  const end = clock.now() + started.expiresIn * 1000;
  while (clock.now() < end) {
    await clock.sleep(interval * 1000, signal);
    const askedAt = clock.now();
    try {
      const answer = await context.token({
        as: { issuer, token_endpoint: tokenEndpointOf(as, client) as string },
        client,
        grant: GRANT,
        parameters: { device_code: started.deviceCode, resource: parameters.resource },
        dpop,
        signal,
      });
      return await keep({ client, answer, askedAt, requestedScope: scope });
    } catch (error) {
      if (!(error instanceof TokenRefusal)) throw error;
      if (error.error === 'authorization_pending') continue;
      if (error.error === 'slow_down') interval += 5;
      else if (error.fate !== 'refused')
        interval = Math.min(60, interval * 2); // section 3.5: back off, don't give up
      else throw failed(error);
    }
  }
  throw new CountersignError('LOGIN_FAILED', 'The device code expired before anybody signed in with it.');
};

function failed(refusal: TokenRefusal): CountersignError {
  if (refusal.error === 'access_denied')
    return new CountersignError('LOGIN_FAILED', 'The sign-in was refused: access_denied.');
  if (refusal.error === 'expired_token')
    return new CountersignError('LOGIN_FAILED', 'The device code expired before anybody signed in with it.');
  return new CountersignError('LOGIN_FAILED', refusal.message);
}

interface Started {
  readonly deviceCode: string;
  readonly userCode: string;
  readonly verificationUri: string;
  readonly complete: string | undefined;
  /** Seconds. */
  readonly expiresIn: number;
  readonly interval: number;
}

async function begin(
  context: OAuthContext,
  { as, issuer }: Discovery,
  client: Parameters<typeof clientAuthentication>[0],
  parameters: Record<string, string | undefined>,
  signal: AbortSignal,
): Promise<Started> {
  const body = new URLSearchParams({ client_id: client.id });
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) body.set(name, value);
  const headers = new Headers({ accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' });
  const authenticate = await clientAuthentication(client, context.options, context.services);
  await authenticate(as, { client_id: client.id }, body, headers);
  const { origin } = new URL(issuer);
  const url = as.device_authorization_endpoint as string;
  const init = { method: 'POST', headers: Object.fromEntries(headers), body: body.toString() };
  const answer = await request(context.fetch, url, init, { signal }).catch((error: unknown) => {
    if (isCountersignError(error)) throw error;
    throw new CountersignError('UNREACHABLE', `The device endpoint of ${origin} could not be reached.`, {
      cause: error,
    });
  });
  const {
    device_code,
    user_code,
    verification_uri,
    verification_url,
    verification_uri_complete,
    expires_in,
    interval,
  } = answer.json ?? {};
  const verificationUri = pageUrl(verification_uri ?? verification_url); // Google's older name
  if (answer.status >= 300 || typeof device_code !== 'string' || typeof user_code !== 'string' || !verificationUri)
    throw new CountersignError(
      'LOGIN_FAILED',
      `The authorization server ${origin} started no device sign-in (${[answer.status, errorCode(answer.json?.['error'])].filter(Boolean).join(', ')}).`,
    );
  return {
    deviceCode: device_code,
    userCode: user_code.replace(/[^\x21-\x7e ]/g, '?').slice(0, 64),
    verificationUri,
    complete: pageUrl(verification_uri_complete),
    expiresIn: positive(expires_in, 1800),
    interval: Math.min(60, Math.max(1, positive(interval, 5))),
  };
}

/** A page that a person is sent to (R1): https or loopback, without a user name, re-serialised but for the slash that an empty path gets. */
function pageUrl(value: unknown): string | undefined {
  if (typeof value !== 'string' || value.length > 8192 || !URL.canParse(value)) return undefined;
  const url = new URL(value);
  if (!isSecure(url) || url.username || url.password) return undefined;
  return `${value}/` === url.href ? value : url.href;
}

const positive = (value: unknown, otherwise: number): number => {
  const number = Number(value);
  return number > 0 && number <= 86_400 ? number : otherwise;
};
