import { CountersignError, type AuthServices, type EndpointFetch } from '@countersign/core';
import { githubApp, type GitHubApp } from './app.js';
import { deviceSignIn, type DeviceSignIn } from './device.js';
import type { GitHubHost } from './hosts.js';
import type { GitHubOptions } from './options.js';
import { environmentToken, ghToken } from './token-sources.js';

/** A token, and where it is from. */
export interface GitHubToken {
  readonly token: string;
  /** By the local clock. */
  readonly expiresAt: number | undefined;
  readonly kind: 'app' | 'token' | 'gh' | 'device';
  /** "environment GH_TOKEN", "GitHub App 7, installation 9". */
  readonly source: string;
  readonly scopes: readonly string[] | undefined;
}

/** The sources of one server's token, at one GitHub. */
export interface Credentials {
  readonly app: GitHubApp | undefined;
  readonly device: DeviceSignIn | undefined;
  /** The first source's token. `stale` is one that must not be given again, where there can be another. */
  find(stale: string | undefined): Promise<GitHubToken>;
}

const LATE = 60_000;

export function credentials(
  options: GitHubOptions,
  services: AuthServices,
  host: GitHubHost,
  endpoint: EndpointFetch,
): Credentials {
  const { clock, env } = services;
  const wanted = (kind: GitHubToken['kind']): boolean => options.source === undefined || options.source === kind;
  const app = options.appId !== undefined && wanted('app') ? githubApp(options, services, host, endpoint) : undefined;
  const device =
    options.clientId !== undefined && wanted('device')
      ? deviceSignIn(options.clientId, host, services, endpoint)
      : undefined;
  const plain = (kind: 'token' | 'gh', token: string, source: string): GitHubToken => {
    services.conceal(token);
    return { token, expiresAt: undefined, kind, source, scopes: undefined };
  };

  return {
    app,
    device,
    async find(stale) {
      if (app) {
        const { token, expiresAt, permissions } = await app.mint();
        return { token, expiresAt, kind: 'app', source: app.description, scopes: permissions };
      }
      if (wanted('token')) {
        if (options.token !== undefined) return plain('token', options.token, 'option "token"');
        const found = environmentToken(host, env);
        if (found) return plain('token', found.token, `environment ${found.name}`);
      }
      if (wanted('gh')) {
        const token = await ghToken(host, env, clock);
        if (token !== undefined) return plain('gh', token, `gh, signed in to ${host.name}`);
      }
      const signIn = await device?.load();
      if (device && signIn) {
        const late = signIn.expiresAt !== undefined && clock.now() > signIn.expiresAt - LATE;
        const current =
          signIn.ended !== undefined || late || signIn.token === stale ? await device.refresh(signIn.token) : signIn;
        return {
          token: current.token,
          expiresAt: current.expiresAt,
          kind: 'device',
          source: `sign-in at ${host.name}`,
          scopes: current.scopes,
        };
      }
      throw missing();
    },
  };

  function missing(): CountersignError {
    const { name } = services.server;
    if (device)
      return new CountersignError('LOGIN_REQUIRED', `Server ${name} needs a sign-in at ${host.name}.`, {
        server: name,
        remedy: `Run \`countersign login ${name}\`.`,
      });
    const variable = host.kind === 'server' ? 'GH_ENTERPRISE_TOKEN' : 'GH_TOKEN';
    const elsewhere =
      host.kind !== 'github.com' && (env['GH_TOKEN'] || env['GITHUB_TOKEN'])
        ? ' GH_TOKEN and GITHUB_TOKEN are not sent: they are of another GitHub.'
        : '';
    return new CountersignError(
      'CREDENTIAL_UNAVAILABLE',
      `Server ${name} needs a GitHub credential for ${host.name}, and there is none.${elsewhere}`,
      {
        server: name,
        remedy:
          `Run \`gh auth login --hostname ${host.name}\`, or set ${variable}` +
          (host.kind === 'ghe.com' ? ` together with GH_HOST=${host.name}` : '') +
          ', or configure a GitHub App ("appId", "privateKeyFile") or a sign-in ("clientId") in the server\'s "auth".',
      },
    );
  }
}
