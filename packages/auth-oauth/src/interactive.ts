import { CountersignError, excerpt, isCountersignError, type AuthProvider, type Interaction } from '@countersign/core';
import { authorizationCode } from './authorization-code.js';
import { keptChallenge, resourceOf, scopeFor, tokenEndpointOf, type OAuthContext } from './context.js';
import { isAlive, without, withTokens, type Credential, type KeptChallenge, type Usable } from './credential.js';
import { deviceCode } from './device-code.js';
import type { Discovery } from './discovery.js';
import { dpopKey, type DpopKey } from './dpop.js';
import { idTokenClaims } from './claims.js';
import { issuedTokens } from './issued-tokens.js';
import { presenter } from './present.js';
import { oauthChallenge, probe } from './probe.js';
import { revoke } from './revocation.js';
import { scopesOf } from './scopes.js';
import type { Flow, SignedIn } from './sign-in.js';
import { statusOf } from './status.js';
import { storedCredential } from './stored-credential.js';
import { TokenRefusal, tokenError } from './token-endpoint.js';

const REFRESH_DEADLINE = 50_000; // milliseconds: an authorization server may be slow, and a token that was sent is spent
const GRACE = 1000; // milliseconds
const SILENCE = 2500;
const LOGIN_TIMEOUT = 300; // seconds
const LONGEST_LOGIN = 3600;

/** The provider for the grants that a person signs in for: authorization code and device code. */
export function interactiveOAuth(context: OAuthContext): AuthProvider {
  const { options, services, server, keys } = context;
  const keyOf = presenter();
  const ending = new AbortController();
  let spentAt: number | undefined;
  const stored = storedCredential({
    tokens: services.tokens,
    keys,
    server,
    services,
    loginRequired: context.loginRequired,
    async spend(record) {
      if (record.tokenEndpoint === undefined || record.client === undefined)
        throw context.loginRequired('the stored sign-in is not complete');
      const dpop = record.dpopKey ? await keyOf(record.dpopKey) : undefined;
      spentAt = services.clock.now();
      try {
        return await context.token({
          as: { issuer: record.issuer ?? server.origin, token_endpoint: record.tokenEndpoint },
          client: withSecret(record.client),
          grant: 'refresh_token',
          parameters: { refresh_token: record.refreshToken, resource: record.resource },
          dpop,
          deadline: REFRESH_DEADLINE,
          signal: ending.signal,
        });
      } catch (error) {
        if (ending.signal.aborted)
          throw new TokenRefusal('timeout', 'The token endpoint had not answered when the process ended.');
        throw error;
      } finally {
        spentAt = undefined;
      }
    },
  });

  /** A configured secret is not stored; it may have changed since. */
  function withSecret(client: NonNullable<Credential['client']>): NonNullable<Credential['client']> {
    const { clientSecret } = options;
    return client.secret === undefined && clientSecret !== undefined && client.id === options.clientId
      ? { ...client, secret: clientSecret }
      : client;
  }

  async function renewed(used: string, challenge: KeptChallenge, attempt: number): Promise<boolean> {
    if (attempt > 1) await sameIssuer(challenge);
    try {
      return (await stored.usable(used)).accessToken !== used;
    } catch (error) {
      if (!isCountersignError(error, 'LOGIN_REQUIRED')) throw error;
      const reason = error.message.replace(/^.*? needs a sign-in: /, '').replace(/\.$/, '');
      const record = await stored.note(used, challenge, reason);
      if (record?.accessToken !== undefined && record.accessToken !== used && record.loginRequired === undefined)
        return true;
      throw error;
    }
  }

  /** A renewed token is refused at once: perhaps the server has moved to another authorization server (MCP: never carry tokens over). */
  async function sameIssuer(challenge: KeptChallenge): Promise<void> {
    const issuer = stored.current?.issuer;
    const found = await context.find(challenge).catch(() => undefined);
    if (!found || issuer === undefined || found.issuer === issuer) return;
    const reason = `the server has moved to the authorization server ${new URL(found.issuer).origin}`;
    await stored.note(stored.current?.accessToken, challenge, reason);
    throw context.loginRequired(reason);
  }

  /** The end of a session, which comes as the process ends: no refresh is begun that it could not finish. */
  async function forFarewell(): Promise<Usable> {
    const record = stored.current ?? (await stored.load());
    if (isAlive(record, services.clock.now())) return record;
    throw new CountersignError('ABORTED', 'The session is left without a word: its token has ended.');
  }

  /** 403 insufficient_scope: a person has to consent, unless what is wanted was asked for already. */
  async function stepUp(used: string | undefined, challenge: KeptChallenge): Promise<boolean> {
    const record = await stored.load();
    if (record?.accessToken !== undefined && record.accessToken !== used && record.loginRequired === undefined)
      return true;
    const asked = new Set([...scopesOf(record?.requestedScope), ...scopesOf(record?.scope)]);
    const missing = scopesOf(challenge.scope).filter((scope) => !asked.has(scope));
    const { name } = services.server;
    if (missing.length === 0)
      throw new CountersignError(
        'FORBIDDEN',
        `403 Forbidden: server ${name} wants a scope that was asked for at the sign-in and is not enough.`,
        {
          server: name,
          status: 403,
          remedy: `Ask for the missing right at the authorization server, then run \`countersign login ${name}\` again.`,
        },
      );
    await stored.note(used, challenge);
    throw context.loginRequired(
      `the request wants more scopes (${excerpt(missing.join(' '), 200).replace(/[^\x21-\x7e …]/g, '?')})`,
    );
  }

  async function login(interaction: Interaction, signal?: AbortSignal): Promise<void> {
    // A caller with a signal of its own bounds the time itself; nothing waits for ever.
    const seconds = options.loginTimeout ?? (signal ? LONGEST_LOGIN : LOGIN_TIMEOUT);
    const late = AbortSignal.timeout(Math.min(seconds * 1000, 2 ** 31 - 1));
    const either = signal ? AbortSignal.any([signal, late]) : late;
    try {
      await signIn(interaction, either);
      interaction.tell({ type: 'succeeded' });
    } catch (error) {
      if (error instanceof TokenRefusal) throw tokenError(error);
      if (isCountersignError(error) || !either.aborted) throw error;
      const timedOut = late.aborted || (signal?.reason as Error | undefined)?.name === 'TimeoutError';
      if (timedOut)
        throw new CountersignError('LOGIN_FAILED', 'Nobody came back from the sign-in in time.', { cause: error });
      throw new CountersignError('ABORTED', 'The sign-in was broken off.', { cause: error });
    }
  }

  /**
   * A refresh under way gets a second to end. An endpoint that has been silent for longer is taken for one that hangs, as at
   * the deadline, and the token stays; one that was asked just now may be at it, and its token is not shown again.
   */
  async function dispose(): Promise<void> {
    await Promise.race([stored.settled(), services.clock.sleep(GRACE, undefined, { ref: false })]);
    if (spentAt === undefined || services.clock.now() - spentAt < SILENCE) return;
    ending.abort();
    await stored.settled();
  }

  async function signIn(interaction: Interaction, signal: AbortSignal): Promise<void> {
    const before = await stored.load();
    const challenge = before?.challenge ?? (await probed(signal));
    const found = await context.find(challenge, signal);
    if (found.guessed && challenge === undefined)
      throw new CountersignError(
        'LOGIN_FAILED',
        `Server ${services.server.name} asks for no credentials, and publishes no authorization server.`,
        {
          remedy: 'Remove "auth" from the server if it needs none.',
        },
      );
    const asked = before?.issuer === found.issuer ? before.requestedScope : undefined;
    const scope = scopeFor(context, found, challenge, asked);
    const dpop = (options.dpop ?? found.dpop) ? await dpopKey() : undefined;
    const keep = async (signedIn: SignedIn): Promise<void> => {
      await stored.save(recordOf(found, signedIn, dpop));
      await services.tokens.delete(keys.intent);
    };
    await flowFor(interaction)({ context, found, scope, dpop, interaction, signal, keep });
  }

  function flowFor({ tokens, prefer }: Interaction): Flow {
    if (tokens) return issuedTokens;
    return options.grant === 'device_code' || prefer === 'device' ? deviceCode : authorizationCode;
  }

  /** Asks the server, unless the configuration leaves nothing to find. */
  async function probed(signal: AbortSignal): Promise<KeptChallenge | undefined> {
    if (options.tokenEndpoint !== undefined) return {};
    const challenge = await probe(services.fetch, server, signal);
    return challenge && keptChallenge(challenge);
  }

  function recordOf(
    found: Discovery,
    { client, answer, askedAt, requestedScope }: SignedIn,
    dpop: DpopKey | undefined,
  ): Usable {
    const bound = answer.tokenType.toLowerCase() === 'dpop';
    if (options.dpop && !bound)
      throw new CountersignError(
        'LOGIN_FAILED',
        `The authorization server ${new URL(found.issuer).origin} gave a token that is not bound to the key ("dpop": true).`,
      );
    const configured = client.id === options.clientId && client.secret === options.clientSecret;
    const resource = resourceOf(options, found);
    const claims = idTokenClaims(answer.idToken, found.issuer, client.id);
    const { revocation_endpoint: revocationEndpoint } = found.as;
    const base: Credential = {
      version: 1,
      server: server.href,
      issuer: found.issuer,
      tokenEndpoint: tokenEndpointOf(found.as, client) as string,
      client: configured ? without(client, 'secret') : client,
      ...(revocationEndpoint === undefined ? {} : { revocationEndpoint }),
      ...(resource === undefined ? {} : { resource }),
      ...(requestedScope === undefined ? {} : { requestedScope, scope: requestedScope }),
      ...(bound && dpop ? { dpopKey: dpop.jwk } : {}),
      ...(claims === undefined ? {} : { claims }),
    };
    return withTokens(base, answer, askedAt);
  }

  return {
    async authorize(request, signal) {
      const record = request.method === 'DELETE' ? await forFarewell() : await stored.usable(undefined, signal);
      if (record.tokenType === 'DPoP' && record.dpopKey)
        await (await keyOf(record.dpopKey)).sign(request, record.accessToken);
      else request.headers.set('authorization', `Bearer ${record.accessToken}`);
    },
    async challenge({ request, response, challenges }) {
      if (request.method === 'DELETE') return false;
      const used = request.headers.get('authorization')?.replace(/^\S+ /, '');
      const asked = oauthChallenge(challenges);
      const wantsNonce = challenges.some(({ parameters }) => parameters['error'] === 'use_dpop_nonce');
      if (wantsNonce && request.attempt.number === 1 && stored.current?.dpopKey) return true;
      const kept = keptChallenge(asked);
      if (response.status === 401) {
        const challenge = without(kept, 'stepUp'); // a 401 is never one
        return used === undefined ? false : renewed(used, challenge, request.attempt.number);
      }
      return asked?.parameters['error'] === 'insufficient_scope' ? stepUp(used, kept) : false;
    },
    observe(response) {
      if (stored.current?.dpopKey && response.headers.has('dpop-nonce'))
        void keyOf(stored.current.dpopKey).then((key) => key.observe(response));
    },
    async status(detail) {
      return statusOf(await stored.load(), services.clock, detail ?? false);
    },
    login,
    async logout() {
      const record = await stored.forget();
      const kinds =
        record?.issuer === undefined
          ? []
          : ['code', 'device'].map((kind) => keys.registration(record.issuer as string, kind));
      for (const key of kinds) await services.tokens.delete(key);
      if (record?.client) await revoke(context, { ...record, client: withSecret(record.client) });
    },
    refresh: () => stored.dropAccessToken(),
    dispose,
  };
}
