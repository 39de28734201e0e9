import { readFile } from 'node:fs/promises';
import { CountersignError, type AuthServices, type EndpointFetch } from '@countersign/core';
import { callApi, messageOf, rateLimit, type ApiAnswer } from './api.js';
import type { GitHubHost } from './hosts.js';
import { listOf, type GitHubOptions } from './options.js';
import { normalisePrivateKey } from './private-key.js';

export interface InstallationToken {
  readonly token: string;
  /** By the local clock. */
  readonly expiresAt: number;
  readonly installationId: number;
  /** `["contents:read"]`. */
  readonly permissions: readonly string[];
}

/** A GitHub App's credentials at one GitHub. */
export interface GitHubApp {
  readonly description: string;
  mint(): Promise<InstallationToken>;
  /** Who it is, asked of GitHub. */
  identify(): Promise<{ principal: string | undefined }>;
}

/** Makes an App of the options. Its key is read at each use, so that a rotated file is taken up. */
export function githubApp(
  options: GitHubOptions,
  services: AuthServices,
  host: GitHubHost,
  endpoint: EndpointFetch,
): GitHubApp {
  const appId = String(options.appId);
  let installation = options.installationId === undefined ? undefined : positive(options.installationId);

  async function privateKey(): Promise<string> {
    if (options.privateKey !== undefined)
      return concealed(normalisePrivateKey(options.privateKey, 'option "privateKey"'));
    const path = services.path(options.privateKeyFile ?? '');
    const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      throw new CountersignError(
        'AUTH_OPTIONS_INVALID',
        `The private key file ${path} of the GitHub App ${error.code === 'ENOENT' ? 'does not exist' : `cannot be read (${error.code})`}.`,
      );
    });
    return concealed(normalisePrivateKey(text, path));
  }

  function concealed(pem: string): string {
    services.conceal(pem);
    for (const line of pem.split('\n')) if (!line.startsWith('-') && line.length > 16) services.conceal(line);
    return pem;
  }

  /** The App's own JWT (RS256, ten minutes), by GitHub's clock. The library corrects no skew in `auth()`. */
  async function jwt(): Promise<string> {
    const [{ createAppAuth }, { request }, key] = await Promise.all([
      import('@octokit/auth-app'),
      import('@octokit/request'),
      privateKey(),
    ]);
    const { token } = await createAppAuth({
      appId,
      privateKey: key,
      request,
      timeDifference: Math.round((services.clock.now() + endpoint.offset - Date.now()) / 1000),
      log: { warn: () => undefined },
    })({ type: 'app' });
    services.conceal(token);
    return token;
  }

  async function asApp(path: string, init: { method?: 'GET' | 'POST'; body?: unknown } = {}): Promise<ApiAnswer> {
    const offset = endpoint.offset;
    const answer = await callApi(endpoint, host, path, { ...init, token: await jwt() });
    // A clock that is off makes `iat` or `exp` wrong; the refusal's own Date tells by how much.
    if (answer.status !== 401 || endpoint.offset === offset) return answer;
    return callApi(endpoint, host, path, { ...init, token: await jwt() });
  }

  function refused({ status, headers, data }: ApiAnswer, what: string): CountersignError {
    const message = messageOf(data);
    const limited = rateLimit(status, headers, message, { host: new URL(host.api).host, now: services.clock.now() });
    if (limited) return limited;
    const told = `GitHub App ${appId}: ${new URL(host.api).host} answered ${status}${message === undefined ? '' : ` (${message})`} ${what}.`;
    if (status === 401)
      return new CountersignError('UNAUTHORIZED', told, {
        status,
        remedy:
          'Check that "appId" and the private key belong to one App of this GitHub, and that the key was not deleted.',
      });
    if (status === 403)
      return new CountersignError('FORBIDDEN', told, {
        status,
        remedy: 'Look at the installation in the settings of the organisation: it may be suspended.',
      });
    if (status === 404)
      return new CountersignError('CREDENTIAL_UNAVAILABLE', told, {
        status,
        remedy: 'Install the App where it is to work, and check "installationId", "owner" or "repository".',
      });
    if (status === 422)
      return new CountersignError('TOKEN_REQUEST_FAILED', told, {
        status,
        remedy:
          'Ask for no more "permissions" and "repositories" than the installation has, or accept the App\'s new permissions in the settings of the organisation.',
      });
    if (status >= 500)
      return new CountersignError('SERVER_ERROR', told, {
        status,
        remedy: 'Try again; GitHub reports outages at https://www.githubstatus.com.',
      });
    return new CountersignError('TOKEN_REQUEST_FAILED', told, { status });
  }

  async function installationId(): Promise<number> {
    return (installation ??= await find());
  }

  async function find(): Promise<number> {
    const { owner, repository } = options;
    const full = repository?.includes('/')
      ? repository
      : owner !== undefined && repository !== undefined
        ? `${owner}/${repository}`
        : undefined;
    if (repository !== undefined) {
      if (full === undefined || !/^[\w.-]+\/[\w.-]+$/.test(full))
        throw invalid('"repository" is not of the form "owner/name"');
      return idOf(await asApp(`/repos/${full}/installation`), `when it was asked for the installation at ${full}`);
    }
    if (owner !== undefined) {
      if (!/^[\w.-]+$/.test(owner)) throw invalid('"owner" is not the name of an organisation or user');
      const answer = await asApp(`/orgs/${owner}/installation`);
      return idOf(
        answer.status === 404 ? await asApp(`/users/${owner}/installation`) : answer,
        `when it was asked for the installation at ${owner}`,
      );
    }
    const answer = await asApp('/app/installations?per_page=100');
    if (answer.status !== 200) throw refused(answer, 'when it was asked for the installations');
    const all = Object.values(answer.data) as { id?: unknown; account?: { login?: unknown } }[];
    const [only, other] = all;
    if (!only)
      throw new CountersignError('CREDENTIAL_UNAVAILABLE', `The GitHub App ${appId} is not installed anywhere.`, {
        remedy: 'Install it in the organisation or account where it is to work.',
      });
    if (other) {
      const names = all.map(
        ({ id, account }) => `${String(id)} (${typeof account?.login === 'string' ? account.login : 'unknown'})`,
      );
      throw new CountersignError(
        'AUTH_OPTIONS_INVALID',
        `The GitHub App ${appId} has ${all.length} installations: ${names.join(', ')}.`,
        {
          remedy: 'Choose one by "installationId", "owner" or "repository".',
        },
      );
    }
    return positive(only.id);
  }

  function idOf(answer: ApiAnswer, what: string): number {
    if (answer.status !== 200) throw refused(answer, what);
    return positive(answer.data['id']);
  }

  function invalid(fact: string): CountersignError {
    return new CountersignError(
      'AUTH_OPTIONS_INVALID',
      `Auth method github of server ${services.server.name}: ${fact}.`,
    );
  }

  function positive(value: unknown): number {
    const id = Number(value);
    if (!Number.isSafeInteger(id) || id <= 0) throw invalid('"installationId" is not a number');
    return id;
  }

  return {
    get description() {
      return `GitHub App ${appId}${installation === undefined ? '' : `, installation ${installation}`}${host.name === 'github.com' ? '' : ` at ${host.name}`}`;
    },

    /** Our own POST: the library's cache hands out expired tokens, and its pending requests are shared among hosts. */
    async mint() {
      const id = await installationId();
      const repositories = listOf(options.repositories).map((name) => name.replace(/^.*\//, ''));
      const answer = await asApp(`/app/installations/${id}/access_tokens`, {
        method: 'POST',
        body: {
          ...(repositories.length > 0 ? { repositories } : {}),
          ...(options.permissions === undefined ? {} : { permissions: options.permissions }),
        },
      });
      if (answer.status !== 201 && answer.status !== 200)
        throw refused(answer, `when it was asked for a token of installation ${id}`);
      const { token, expires_at: end, permissions } = answer.data;
      if (typeof token !== 'string' || token === '')
        throw new CountersignError('TOKEN_REQUEST_FAILED', `GitHub App ${appId}: GitHub answered without a token.`);
      services.conceal(token);
      const expires = Date.parse(String(end));
      return {
        token,
        expiresAt: Number.isNaN(expires) ? services.clock.now() + 3_600_000 : expires - endpoint.offset,
        installationId: id,
        permissions: Object.entries((permissions ?? {}) as Record<string, unknown>).map(
          ([name, level]) => `${name}:${String(level)}`,
        ),
      };
    },

    async identify() {
      const [app, where] = [await asApp('/app'), await asApp(`/app/installations/${await installationId()}`)];
      const slug = app.data['slug'];
      const login = (where.data['account'] as { login?: unknown } | undefined)?.login;
      if (typeof slug !== 'string') return { principal: undefined };
      return { principal: `${slug}[bot]${typeof login === 'string' ? ` at ${login}` : ''}` };
    },
  };
}
