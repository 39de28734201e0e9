import { isCountersignError, renewing, type AuthProvider, type Expiring } from '@countersign/core';
import { keptChallenge, scopeFor, type OAuthContext } from './context.js';
import { jwtClaims } from './claims.js';
import type { KeptChallenge } from './credential.js';
import type { Discovery } from './discovery.js';
import { dpopKey, type DpopKey } from './dpop.js';
import { unattendedGrant } from './grants.js';
import { oauthChallenge, probe } from './probe.js';
import { scopesOf, unionOfScopes } from './scopes.js';
import { TokenRefusal, tokenError } from './token-endpoint.js';

interface Token extends Expiring {
  readonly accessToken: string;
  readonly scope: string | undefined;
  readonly dpop: DpopKey | undefined;
  readonly issuer: string;
}

/** The provider for the grants that need no person. Its tokens live in memory: the secret that gets them is the credential. */
export function unattendedOAuth(context: OAuthContext): AuthProvider {
  const { options, services, server } = context;
  const grant = options.grant ?? 'client_credentials';
  let found: { discovery: Discovery; challenge: KeptChallenge | undefined } | undefined;
  let key: DpopKey | undefined;
  let more: string | undefined; // scopes that requests were found to need
  let refused: Error | undefined; // a given assertion that was rejected once is not tried again
  const token = renewing<Token>(obtain, services.clock);

  async function find(): Promise<NonNullable<typeof found>> {
    const heard = options.tokenEndpoint === undefined ? await probe(services.fetch, server) : undefined;
    const challenge = heard && keptChallenge(heard);
    return (found ??= { discovery: await context.find(challenge), challenge });
  }

  async function obtain(): Promise<Token> {
    if (refused) throw refused;
    const { discovery, challenge } = found ?? (await find());
    const scope = unionOfScopes(scopeFor(context, discovery, challenge, undefined), more);
    if (options.dpop ?? discovery.dpop) key ??= await dpopKey();
    const askedAt = services.clock.now();
    try {
      const answer = await unattendedGrant(context, discovery, scope, key);
      return {
        accessToken: answer.accessToken,
        scope: answer.scope ?? scope,
        dpop: answer.tokenType.toLowerCase() === 'dpop' ? key : undefined,
        expiresAt: answer.expiresIn === undefined ? undefined : askedAt + answer.expiresIn * 1000,
        issuer: discovery.issuer,
      };
    } catch (error) {
      if (!(error instanceof TokenRefusal)) throw error;
      const known = tokenError(error);
      if (grant === 'jwt_bearer' && error.fate === 'refused') refused = known;
      throw known;
    }
  }

  return {
    async authorize(request, signal) {
      const { accessToken, dpop } = await token.get(signal);
      if (dpop) await dpop.sign(request, accessToken);
      else request.headers.set('authorization', `Bearer ${accessToken}`);
    },
    async challenge({ request, response, challenges, signal }) {
      const used = request.headers.get('authorization')?.replace(/^\S+ /, '');
      const asked = oauthChallenge(challenges);
      const error = asked?.parameters['error'];
      if (key && challenges.some(({ parameters }) => parameters['error'] === 'use_dpop_nonce'))
        return request.attempt.number === 1;
      if (response.status === 403) {
        const known = new Set([...scopesOf(token.current?.scope), ...scopesOf(more)]);
        const missing = scopesOf(asked?.parameters['scope']).filter((scope) => !known.has(scope));
        if (error !== 'insufficient_scope' || missing.length === 0) return false;
        more = unionOfScopes(token.current?.scope, more, missing.join(' '));
      }
      if (token.current?.accessToken !== used && response.status === 401) return true;
      if (grant === 'jwt_bearer' && request.attempt.number > 1) return false;
      found = undefined; // the server may have moved
      token.drop(token.current);
      return (await token.get(signal)).accessToken !== used;
    },
    observe(response) {
      key?.observe(response);
    },
    async status(detail) {
      const { current } = token;
      const source = `OAuth ${grant.replaceAll('_', ' ')}`;
      if (detail && !current) {
        const failure = await token.get().then(
          () => undefined,
          (error: unknown) => (isCountersignError(error) ? error.message : 'no token could be had'),
        );
        if (failure !== undefined) return { state: 'failed', source, reason: failure };
      }
      const now = token.current;
      const claims = detail ? jwtClaims(now?.accessToken) : undefined;
      return {
        state: now ? 'ready' : 'unused',
        source,
        ...(options.clientId === undefined ? {} : { principal: options.clientId }),
        ...(now ? { issuer: now.issuer } : {}),
        ...(now?.scope === undefined ? {} : { scopes: scopesOf(now.scope) }),
        ...(now?.expiresAt === undefined ? {} : { expiresAt: new Date(now.expiresAt) }),
        refreshable: true,
        ...(claims === undefined ? {} : { claims }),
      };
    },
    async login(interaction) {
      refused = undefined;
      token.drop();
      await token.get();
      interaction.tell({ type: 'succeeded' });
    },
    refresh() {
      refused = undefined;
      token.drop();
    },
  };
}
