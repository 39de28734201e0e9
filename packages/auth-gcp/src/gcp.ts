import {
  CountersignError,
  endpointFetch,
  findCountersignError,
  isCountersignError,
  renewing,
  type AuthProvider,
  type AuthServices,
  type ChallengeContext,
  type Interaction,
  type OutgoingRequest,
  type ProviderStatus,
  type Renewing,
} from '@countersign/core';
import { credentialPath, readCredentialFile } from './credential-file.js';
import { describe, explainFailure } from './failures.js';
import { explainForbidden } from './forbidden.js';
import { checkImplicitHost, wantedToken, type Wanted } from './hosts.js';
import { metadata, metadataAvailable } from './metadata-server.js';
import { scopeList, type GcpOptions } from './options.js';
import type { Minting } from './clients.js';
import { accessToken, claimsOf, idToken, type GoogleToken, type Source } from './sources.js';

/** Google's tokens for one server: minted by Application Default Credentials, kept until they end, renewed ahead of that. */
export function createGcp(options: GcpOptions, services: AuthServices, deadline?: number): AuthProvider {
  const minting: Minting = { services, endpoint: endpointFetch(services, deadline) };
  const kept = new Map<string, Renewing<GoogleToken>>();
  const header = options.header ?? 'Authorization';
  const server = services.server.name;
  if (services.implicit) checkImplicitHost(undefined, services.server.url, server); // at start-up rather than at a request
  let source: Source | undefined;
  let failure: CountersignError | undefined;
  let last: Wanted | undefined;

  /** Looked up for each token: a credential that appears or moves between two is found. */
  async function findSource(): Promise<Source> {
    const impersonate = options.impersonate;
    const path = credentialPath(options, services);
    if (path !== undefined) return { file: await readCredentialFile(path, services), impersonate };
    if (await metadataAvailable(services)) return { file: undefined, impersonate };
    throw new CountersignError(
      'CREDENTIAL_UNAVAILABLE',
      `Server ${server} needs Google credentials, and this machine has none.`,
      {
        remedy:
          'Run `gcloud auth application-default login`, or name a credential file by "keyFile" or GOOGLE_APPLICATION_CREDENTIALS.',
      },
    );
  }

  async function mint({ kind, audience }: Wanted): Promise<GoogleToken> {
    let found: Source | undefined;
    const once = () =>
      kind === 'id' ? idToken(found!, audience ?? '', minting) : accessToken(found!, scopeList(options), minting);
    try {
      found = source = await findSource();
      const offset = minting.endpoint.offset;
      const token = await once().catch((error: unknown) => {
        // The refusal's Date showed how far our clock is off: the assertion is made again with that.
        if (minting.endpoint.offset === offset || isCountersignError(error)) throw error;
        return once();
      });
      services.conceal(token.token);
      services.log.debug(
        `gcp: ${kind} token for ${server} from ${describe(found)}, until ${new Date(token.expiresAt ?? 0).toISOString()}`,
      );
      failure = undefined;
      return token;
    } catch (error) {
      failure = found
        ? explainFailure(error, found)
        : (findCountersignError(error) ??
          new CountersignError('CREDENTIAL_UNAVAILABLE', `Server ${server} has no usable Google credentials.`));
      throw failure;
    }
  }

  function token(wanted: Wanted): Renewing<GoogleToken> {
    const key = `${wanted.kind} ${wanted.audience ?? ''}`;
    let one = kept.get(key);
    if (!one) kept.set(key, (one = renewing(() => mint(wanted), services.clock)));
    last = wanted;
    return one;
  }

  /** Within an attempt one token of a kind, for every header that names it. */
  async function current(
    wanted: Wanted,
    request: OutgoingRequest | undefined,
    signal: AbortSignal | undefined,
  ): Promise<string> {
    const one = token(wanted);
    return (await (request ? request.attempt.memo(one, () => one.get(signal)) : one.get(signal))).token;
  }

  async function quotaProject(): Promise<string | undefined> {
    return options.quotaProject || services.env['GOOGLE_CLOUD_QUOTA_PROJECT'] || (await fileField('quota_project_id'));
  }

  async function fileField(field: 'quota_project_id' | 'project_id'): Promise<string | undefined> {
    if (source) return source.file?.json[field]; // known since the first token: no disk access per request
    const path = credentialPath(options, services);
    return path === undefined ? undefined : (await readCredentialFile(path, services)).json[field];
  }

  async function project(): Promise<string | undefined> {
    const { env } = services;
    const known = env['GOOGLE_CLOUD_PROJECT'] || env['GCLOUD_PROJECT'] || (await fileField('project_id'));
    if (known || credentialPath(options, services) !== undefined) return known;
    return (await metadataAvailable(services))
      ? (await metadata('project/project-id', services, minting.endpoint)).trim()
      : undefined;
  }

  function drop(): void {
    for (const one of kept.values()) one.drop();
  }

  return {
    async authorize(request, signal) {
      const wanted = wantedToken(options, request.url);
      const token = await current(wanted, request, signal);
      // A template of the configuration may have put the token there already, in its own form.
      if (!request.headers.get(header)?.includes(token)) request.headers.set(header, `Bearer ${token}`);
      if (wanted.kind === 'id' && options.quotaProject === undefined) return;
      const project = await quotaProject();
      if (project && !request.headers.has('x-goog-user-project')) request.headers.set('x-goog-user-project', project);
    },

    async variable(name, request, signal) {
      const url = request?.url ?? services.server.url;
      if (services.implicit) checkImplicitHost(name, url, server);
      switch (name) {
        case 'GCP_ACCESS_TOKEN':
          return current({ kind: 'access', audience: undefined }, request, signal);
        case 'GCP_ID_TOKEN': {
          const audience = options.audience ?? url?.origin;
          if (audience === undefined)
            throw new CountersignError('AUTH_OPTIONS_INVALID', `GCP_ID_TOKEN of server ${server} has no audience.`, {
              remedy: 'Add "auth": { "method": "gcp", "token": "id", "audience": "…" } to the server.',
            });
          return current({ kind: 'id', audience }, request, signal);
        }
        case 'GCP_PROJECT':
          return project();
        case 'GCP_QUOTA_PROJECT':
          return quotaProject();
        default:
          return undefined;
      }
    },

    async challenge(context: ChallengeContext) {
      if (context.response.status !== 401) return false; // a 403 is IAM's: another token has no other roles
      const sent = [...context.request.headers].map(([, value]) => value);
      const refused = [...kept.values()].filter(
        ({ current }) => current && sent.some((value) => value.includes(current.token)),
      );
      if (refused.length === 0) return [...kept.values()].some(({ current }) => current); // renewed meanwhile
      const renewed = await Promise.all(
        refused.map(async (one) => {
          const old = one.current;
          one.drop(old);
          return (await one.get(context.signal)).token !== old?.token;
        }),
      );
      return renewed.some(Boolean);
    },

    explain(response, body) {
      return response.status === 403
        ? explainForbidden(response, body, { source, scopes: scopeList(options) })
        : undefined;
    },

    async status(detail): Promise<ProviderStatus> {
      const wanted = last ?? (services.server.url ? wantedToken(options, services.server.url) : undefined);
      if (detail && wanted)
        await token(wanted)
          .get()
          .catch(() => undefined);
      const one = wanted && token(wanted).current;
      const found = source;
      const asked = found && (await identify(found, one?.token, detail ?? false));
      const email = options.impersonate ?? found?.file?.json.client_email ?? asked?.email;
      return {
        state: one && services.clock.now() < (one.expiresAt ?? Infinity) ? 'ready' : failure ? 'failed' : 'unused',
        source: found ? describe(found) : 'Application Default Credentials',
        issuer: 'https://accounts.google.com',
        refreshable: true,
        ...(email === undefined ? {} : { principal: email }),
        ...(wanted?.kind === 'access' ? { scopes: asked?.scopes ?? scopeList(options) } : {}),
        ...(wanted?.audience === undefined ? {} : { audience: wanted.audience }),
        ...(one?.expiresAt === undefined ? {} : { expiresAt: new Date(one.expiresAt) }),
        ...(failure ? { reason: `${failure.message} ${failure.remedy}` } : {}),
        ...(detail && wanted?.kind === 'id' && one ? { claims: claimsOf(one.token) } : {}),
      };
    },

    async login(interaction: Interaction, signal) {
      drop();
      const wanted =
        last ??
        (services.server.url ? wantedToken(options, services.server.url) : { kind: 'access', audience: undefined });
      try {
        await token(wanted).get(signal);
      } catch (error) {
        const known = findCountersignError(error);
        throw new CountersignError('LOGIN_FAILED', known?.message ?? 'There are no usable Google credentials.', {
          cause: known,
          remedy:
            known?.code === 'CREDENTIAL_UNAVAILABLE'
              ? known.remedy
              : "Run `gcloud auth application-default login`; Google credentials are gcloud's to keep.",
          server,
        });
      }
      interaction.tell({
        type: 'note',
        message: `Google credentials come from ${source ? describe(source) : 'this machine'}; there is nothing else to sign in to.`,
      });
    },

    async logout() {
      drop(); // the credential itself is gcloud's: `gcloud auth application-default revoke`
    },

    refresh: drop,
    dispose: drop,
  };

  /** Who the token speaks for, and for what. Only `whoami` (detail) asks Google. */
  async function identify(
    found: Source,
    current: string | undefined,
    detail: boolean,
  ): Promise<{ email?: string; scopes?: string[] }> {
    const { email } = current?.startsWith('ey') ? claimsOf(current) : {};
    if (typeof email === 'string') return { email };
    if (!detail) return {};
    try {
      if (!found.file)
        return {
          email: (await metadata('instance/service-accounts/default/email', services, minting.endpoint)).trim(),
        };
      if (current === undefined) return {};
      const response = await minting.endpoint.fetch('https://oauth2.googleapis.com/tokeninfo', {
        method: 'POST',
        body: new URLSearchParams({ access_token: current }),
      });
      const info = (await response.json()) as { email?: unknown; scope?: unknown };
      return {
        ...(typeof info.email === 'string' ? { email: info.email } : {}),
        ...(typeof info.scope === 'string' ? { scopes: info.scope.split(' ') } : {}),
      };
    } catch {
      return {}; // whose it is stays unknown; whether it works is told by the rest
    }
  }
}
