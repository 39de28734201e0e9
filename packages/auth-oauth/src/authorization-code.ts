import { CountersignError, type Interaction } from '@countersign/core';
import { AuthorizationRefused, authorizationCodeOf, hasState } from './authorization-response.js';
import { resourceOf, tokenEndpointOf, type OAuthContext } from './context.js';
import { requirePkce, type Discovery } from './discovery.js';
import { openRedirect, type Redirect } from './redirect.js';
import { clientFor, registrationFor } from './registration.js';
import { scopesOf, unionOfScopes } from './scopes.js';
import type { Flow } from './sign-in.js';

/** Milliseconds for the exchange of a code: the person waits for it in front of the page. */
const EXCHANGE_DEADLINE = 50_000;

/**
 * Signs a person in by the authorization code flow with PKCE (RFC 6749 section 4.1, RFC 7636). The browser is told that
 * it worked once the tokens are kept. Throws LOGIN_FAILED or CALLBACK_SERVER_FAILED.
 */
export const authorizationCode: Flow = async ({ context, found, scope: wanted, dpop, interaction, signal, keep }) => {
  requirePkce(found, context.options.pkce);
  const { as } = found;
  if (as.authorization_endpoint === undefined)
    throw new CountersignError(
      'METADATA_INVALID',
      `The authorization server ${found.issuer} names no authorization endpoint.`,
    );
  const redirect = await openRedirect(context, registrationFor(context, found));
  try {
    const client = await clientFor(context, found, redirect.uri, signal);
    const { generateRandomCodeVerifier, generateRandomState, calculatePKCECodeChallenge } =
      await import('oauth4webapi');
    const verifier = generateRandomCodeVerifier();
    const state = generateRandomState();
    context.services.conceal(verifier);
    const scope = withOffline(context, found, wanted);
    const url = authorizationUrl(context, found, {
      response_type: 'code',
      client_id: client.id,
      redirect_uri: redirect.uri,
      code_challenge: await calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      state,
      scope,
      resource: resourceOf(context.options, found),
      login_hint: context.options.loginHint,
      // OpenID Connect Core section 11: without consent the server must ignore offline_access.
      prompt: scopesOf(scope).includes('offline_access') ? 'consent' : undefined,
      dpop_jkt: await dpop?.handle.calculateThumbprint(),
    });
    const response = await awaitResponse(redirect, state, url, interaction, signal);
    const code = authorizationCodeOf(response, found);
    context.services.conceal(code);
    const askedAt = context.services.clock.now();
    const answer = await context.token({
      as: { issuer: found.issuer, token_endpoint: tokenEndpointOf(as, client) as string },
      client,
      grant: 'authorization_code',
      parameters: {
        code,
        redirect_uri: redirect.uri,
        code_verifier: verifier,
        resource: resourceOf(context.options, found),
      },
      dpop,
      deadline: EXCHANGE_DEADLINE,
      signal,
    });
    await keep({ client, answer, askedAt, requestedScope: scope });
    redirect.listener?.answer('signed-in');
  } catch (error) {
    redirect.listener?.answer(error instanceof AuthorizationRefused && error.denied ? 'denied' : 'failed');
    throw error;
  } finally {
    await redirect.listener?.close();
  }
};

/** `offline_access` where the server lists it and the configuration doesn't fix the scopes: it gives the refresh token. */
function withOffline({ options }: OAuthContext, { as }: Discovery, scope: string | undefined): string | undefined {
  if (options.scope !== undefined || scope === undefined || !as.scopes_supported?.includes('offline_access'))
    return scope;
  return unionOfScopes(scope, 'offline_access');
}

function authorizationUrl(
  context: OAuthContext,
  { as }: Discovery,
  parameters: Record<string, string | undefined>,
): URL {
  const url = new URL(as.authorization_endpoint as string);
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) url.searchParams.set(name, value);
  for (const [name, value] of Object.entries(context.options.authorizationParams ?? {})) {
    if (PROTECTED.has(name))
      throw new CountersignError('AUTH_OPTIONS_INVALID', `"authorizationParams" must not set ${name}.`);
    url.searchParams.set(name, value);
  }
  return url;
}

const PROTECTED = new Set([
  'state',
  'code_challenge',
  'code_challenge_method',
  'redirect_uri',
  'response_type',
  'client_id',
]);

/** Shows the URL, and waits for the browser or for a pasted callback URL, whichever comes first. */
async function awaitResponse(
  { uri, listener }: Redirect,
  state: string,
  url: URL,
  interaction: Interaction,
  signal: AbortSignal,
): Promise<URLSearchParams> {
  const done = new AbortController();
  const either = AbortSignal.any([signal, done.signal]);
  const accepts = (parameters: URLSearchParams): boolean => hasState(parameters, state);
  const target = new URL(uri);
  if (listener) interaction.tell({ type: 'listening', url: listeningUrl(target, listener.port) });
  const arrived = listener?.expect(target.pathname, hostsOf(target, listener.port), accepts);
  const aborted = new Promise<never>((_, reject) => {
    const give = (): void => reject(signal.reason as Error);
    if (signal.aborted) give();
    else signal.addEventListener('abort', give, { once: true });
  });
  aborted.catch(() => undefined);
  try {
    interaction.tell({ type: 'opening', url: url.href });
    const shown = interaction.show(url);
    const pasted = shown.then(() => askForUrl(interaction, target, accepts, either));
    const endless = new Promise<never>(() => undefined);
    // The end of input is no failure while the browser may still come back; a URL that nobody was shown is one.
    const typed = arrived ? pasted.catch(() => shown.then(() => endless)) : pasted;
    return await Promise.race([...(arrived ? [arrived] : []), typed, aborted]);
  } finally {
    done.abort();
  }
}

async function askForUrl(
  interaction: Interaction,
  target: URL,
  accepts: (parameters: URLSearchParams) => boolean,
  signal: AbortSignal,
): Promise<URLSearchParams> {
  for (let tries = 0; tries < 100; tries++) {
    const line = (await interaction.ask('Paste the URL that the browser ended on:', signal)).replace(
      /^[\s'"]+|[\s'"]+$/g,
      '',
    );
    signal.throwIfAborted();
    if (line === '') continue;
    const url = URL.canParse(line) ? new URL(line) : undefined;
    const ended = url?.origin === target.origin && url.pathname === target.pathname;
    if (url && ended && accepts(url.searchParams)) return url.searchParams;
    const why = ended
      ? 'it is of another sign-in, or not whole. Open the URL above again'
      : `that begins with ${target.origin}${target.pathname}?`;
    interaction.tell({ type: 'note', message: `That is not the answer of this sign-in: ${why}` });
  }
  throw new CountersignError('LOGIN_FAILED', 'No pasted line was the callback URL of this sign-in.');
}

function listeningUrl(target: URL, port: number): string {
  return target.port === String(port) ? target.origin : `http://localhost:${port}`;
}

/** The Host values of a true callback: the redirect URI's own, and loopback at the port. */
function hostsOf(target: URL, port: number): string[] {
  return [target.host, `localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`];
}
