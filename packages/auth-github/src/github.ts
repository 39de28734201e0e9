import {
  CountersignError,
  endpointFetch,
  findCountersignError,
  renewing,
  type AuthProvider,
  type AuthServices,
  type ChallengeContext,
  type EndpointFetch,
  type ProviderStatus,
  type Renewing,
} from '@countersign/core';
import { callApi } from './api.js';
import { credentials, type Credentials, type GitHubToken } from './credential.js';
import { explainForbidden } from './forbidden.js';
import { checkImplicitHost, githubHost, type GitHubHost } from './hosts.js';
import { listOf, type GitHubOptions } from './options.js';
import { normalisePrivateKey } from './private-key.js';

/** GitHub needs some seconds until all of it knows a new installation token. */
const FRESH = 60_000;
const PATIENCE = 1500;

interface Held {
  readonly host: GitHubHost;
  readonly endpoint: EndpointFetch;
  readonly from: Credentials;
  readonly cell: Renewing<GitHubToken>;
}

/** GitHub's tokens for one server. `deadline` (milliseconds) bounds each request to GitHub's API. */
export function createGitHub(options: GitHubOptions, services: AuthServices, deadline?: number): AuthProvider {
  const server = services.server.name;
  const { clock } = services;
  checkOptions(options, services);
  const held = new Map<string, Held>(); // by the GitHub's name
  const byHost = new Map<string, Held>(); // by the server's host: what a request looks up
  let failure: CountersignError | undefined;
  let refused: string | undefined;
  let waitedFor: string | undefined;

  function at(url: URL | undefined): Held {
    const known = url && byHost.get(url.host);
    if (known) return known;
    const host = githubHost(url ?? new URL(options.apiUrl ?? 'https://github.com'), options); // a local program: by its API
    let one = held.get(host.name);
    if (!one) {
      const endpoint = endpointFetch(services, deadline);
      const from = credentials(options, services, host, endpoint);
      one = { host, endpoint, from, cell: renewing(() => find(one as Held), clock) };
      held.set(host.name, one);
    }
    if (url) byHost.set(url.host, one);
    return one;
  }

  async function find({ from, cell }: Held): Promise<GitHubToken> {
    try {
      const found = await from.find(refused ?? cell.current?.token);
      services.log.debug(
        `github: token for ${server} from ${found.source}${found.expiresAt === undefined ? '' : `, until ${new Date(found.expiresAt).toISOString()}`}`,
      );
      failure = undefined;
      return found;
    } catch (error) {
      failure =
        findCountersignError(error) ??
        new CountersignError('CREDENTIAL_UNAVAILABLE', `Server ${server}: no GitHub token could be had.`);
      throw failure;
    }
  }

  function drop(): void {
    for (const { cell } of held.values()) cell.drop();
  }

  return {
    async authorize(request, signal) {
      const { cell } = at(request.url);
      const { token } = await request.attempt.memo(cell, () => cell.get(signal));
      // A template of the configuration may have put the token there already, in its own form.
      if (!request.headers.get('authorization')?.includes(token))
        request.headers.set('authorization', `Bearer ${token}`);
      const toolsets = listOf(options.toolsets);
      if (toolsets.length > 0) request.headers.set('x-mcp-toolsets', toolsets.join(','));
      if (options.readOnly) request.headers.set('x-mcp-readonly', 'true');
    },

    async variable(name, request, signal) {
      if (name !== 'GITHUB_TOKEN' && name !== 'GH_TOKEN') return undefined;
      const url = request?.url ?? services.server.url;
      if (services.implicit) checkImplicitHost(services, url);
      const { cell } = at(url);
      return (await (request ? request.attempt.memo(cell, () => cell.get(signal)) : cell.get(signal))).token;
    },

    async challenge(context: ChallengeContext) {
      const { request, response } = context;
      const one = held.get(githubHost(request.url, options).name);
      if (!one || response.status !== 401) return false; // the credential is not ours: a variable of the environment
      const { cell } = one;
      const { current, obtainedAt } = cell;
      if (!current) return false;
      if (![...request.headers].some(([, value]) => value.includes(current.token))) return true; // renewed meanwhile
      const fresh = current.kind === 'app' && obtainedAt !== undefined && clock.now() - obtainedAt < FRESH;
      if (fresh && waitedFor !== current.token) {
        waitedFor = current.token;
        await clock.sleep(PATIENCE, context.signal);
        return true;
      }
      return renew(one, current, context.signal);
    },

    explain(response, body) {
      const source = held.get(githubHost(response.url, options).name)?.cell.current?.source;
      return response.status === 403 ? explainForbidden(response, body, source) : undefined;
    },

    async status(detail): Promise<ProviderStatus> {
      const one = at(services.server.url);
      if (detail) await one.cell.get().catch(() => undefined);
      const { current } = one.cell;
      const found = detail && current ? await identify(one, current) : {};
      const valid = current && clock.now() < (current.expiresAt ?? Infinity);
      return {
        state: valid ? 'ready' : failure?.code === 'LOGIN_REQUIRED' ? 'login_required' : failure ? 'failed' : 'unused',
        source: current?.source ?? one.from.app?.description ?? 'GitHub',
        issuer: one.host.web,
        ...(current?.scopes === undefined ? {} : { scopes: current.scopes }),
        ...(current?.expiresAt === undefined ? {} : { expiresAt: new Date(current.expiresAt) }),
        refreshable: current === undefined || current.kind === 'app' || current.expiresAt !== undefined,
        ...(failure ? { reason: `${failure.message} ${failure.remedy}` } : {}),
        ...found,
      };
    },

    async login(interaction, signal) {
      const one = at(services.server.url);
      if (one.from.device) {
        await one.from.device.login(interaction, listOf(options.scopes), signal);
        drop();
        failure = undefined;
        interaction.tell({ type: 'succeeded' });
        const { kind, source } = await one.cell.get(signal);
        if (kind !== 'device')
          interaction.tell({
            type: 'note',
            message: `Requests use ${source}, which goes before the sign-in; set "source": "device" to use the sign-in.`,
          });
        return;
      }
      drop();
      const { source } = await one.cell.get(signal).catch((error: unknown) => {
        const known = findCountersignError(error);
        throw new CountersignError('LOGIN_FAILED', known?.message ?? 'There is no GitHub credential.', {
          cause: known,
          server,
          ...(known ? { remedy: known.remedy } : {}),
        });
      });
      interaction.tell({ type: 'note', message: `The token comes from ${source}; there is nothing to sign in to.` });
    },

    async logout() {
      await at(services.server.url).from.device?.logout();
      drop();
    },

    refresh: drop,
    dispose: drop,
  };

  /** Drops what was refused, and answers whether there is another. */
  async function renew({ cell, from }: Held, old: GitHubToken, signal: AbortSignal): Promise<boolean> {
    refused = old.token;
    cell.drop(old);
    try {
      const next = await cell.get(signal);
      return next.token !== old.token;
    } catch (error) {
      if (old.kind === 'device' && findCountersignError(error)?.code === 'LOGIN_REQUIRED')
        await from.device?.end(old.token, 'GitHub refuses the sign-in');
      throw error;
    } finally {
      refused = undefined;
    }
  }

  /** Who the token is: for `whoami` only. */
  async function identify(
    { host, endpoint, from }: Held,
    { kind, token }: GitHubToken,
  ): Promise<Partial<ProviderStatus>> {
    try {
      if (kind === 'app' && from.app) {
        const { principal } = await from.app.identify();
        return principal === undefined ? {} : { principal };
      }
      const { status, headers, data } = await callApi(endpoint, host, '/user', { token });
      if (status === 401) return { state: 'failed', reason: `${host.name} refuses the token (401).` };
      const scopes = listOf(headers.get('x-oauth-scopes') ?? '');
      const end = Date.parse(
        (headers.get('github-authentication-token-expiration') ?? '').replace(' UTC', 'Z').replace(' ', 'T'),
      );
      return {
        ...(typeof data['login'] === 'string' ? { principal: data['login'] } : {}),
        ...(scopes.length > 0 ? { scopes } : {}),
        ...(Number.isNaN(end) ? {} : { expiresAt: new Date(end) }),
      };
    } catch {
      return {}; // who it is stays unknown; whether it works is told by the rest
    }
  }
}

function checkOptions(options: GitHubOptions, services: AuthServices): void {
  const invalid = (fact: string, remedy: string): CountersignError =>
    new CountersignError('AUTH_OPTIONS_INVALID', `Auth method github of server ${services.server.name}: ${fact}.`, {
      remedy,
      server: services.server.name,
    });
  if (services.implicit) checkImplicitHost(services);
  const key = options.privateKey !== undefined || options.privateKeyFile !== undefined;
  if (options.appId !== undefined && !key)
    throw invalid('"appId" has no private key', 'Add "privateKeyFile", or "privateKey": "${…}".');
  if (options.appId === undefined && key)
    throw invalid('a private key has no "appId"', 'Add "appId": the id or client id of the GitHub App.');
  if (options.privateKey !== undefined && options.privateKeyFile !== undefined)
    throw invalid('both "privateKey" and "privateKeyFile" are given', 'Remove one of the two.');
  if (options.source === 'app' && options.appId === undefined)
    throw invalid('"source": "app" has no "appId"', 'Add "appId" and "privateKeyFile".');
  if (options.source === 'device' && options.clientId === undefined)
    throw invalid(
      '"source": "device" has no "clientId"',
      'Add "clientId": that of the App or OAuth app with the device flow enabled.',
    );
  githubHost(services.server.url ?? new URL('https://github.com'), options);
  if (options.privateKey !== undefined) normalisePrivateKey(options.privateKey, 'option "privateKey"');
}
