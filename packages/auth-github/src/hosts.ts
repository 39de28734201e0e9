import { CountersignError, isLoopback, type AuthServices } from '@countersign/core';
import type { GitHubOptions } from './options.js';

/** The GitHub that a server belongs to. A credential is of one of them, and never goes to another. */
export interface GitHubHost {
  /** `github.com`, `octo.ghe.com`, or the host of a GitHub Enterprise Server. */
  readonly name: string;
  readonly kind: 'github.com' | 'ghe.com' | 'server';
  /** The REST API, without a slash at its end. */
  readonly api: string;
  /** Where people sign in, without a slash at its end. */
  readonly web: string;
}

/** The GitHub of an MCP server's URL. Throws AUTH_OPTIONS_INVALID for an `apiUrl` that a credential can't be sent to. */
export function githubHost(url: URL, options: Pick<GitHubOptions, 'apiUrl'> = {}): GitHubHost {
  const { hostname } = url;
  const own = hostname === 'github.com' || /\.(?:github|githubcopilot)\.com$/.test(hostname);
  const subdomain = /(?:^|\.)([\w-]+)\.ghe\.com$/.exec(hostname)?.[1];
  const host: GitHubHost = own
    ? { name: 'github.com', kind: 'github.com', api: 'https://api.github.com', web: 'https://github.com' }
    : subdomain !== undefined
      ? {
          name: `${subdomain}.ghe.com`,
          kind: 'ghe.com',
          api: `https://api.${subdomain}.ghe.com`,
          web: `https://${subdomain}.ghe.com`,
        }
      : { name: url.host, kind: 'server', api: `${url.origin}/api/v3`, web: url.origin };
  return options.apiUrl === undefined ? host : { ...host, ...locations(options.apiUrl) };
}

function locations(apiUrl: string): Pick<GitHubHost, 'api' | 'web'> {
  const url = URL.canParse(apiUrl) ? new URL(apiUrl) : undefined;
  if (!url || (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback(url.hostname))))
    throw new CountersignError(
      'AUTH_OPTIONS_INVALID',
      'The option "apiUrl" of auth method github is not an https URL.',
      {
        remedy: 'Write it as "https://github.example.com/api/v3".',
      },
    );
  const api = url.href.replace(/\/+$/, '');
  const web = /^api\.(github\.com|[\w-]+\.ghe\.com)$/.exec(url.hostname)?.[1];
  return { api, web: web === undefined ? api.replace(/\/api\/v3$/, '') : `https://${web}` };
}

/** Throws AUTH_OPTIONS_INVALID, with the line to add, for a host that is not GitHub's own and that neither `auth` nor GH_HOST names. */
export function checkImplicitHost({ server, env }: Pick<AuthServices, 'server' | 'env'>, url = server.url): void {
  const host = url && githubHost(url);
  if (host && (host.kind !== 'server' || host.name === env['GH_HOST'])) return;
  throw new CountersignError(
    'AUTH_OPTIONS_INVALID',
    `Server ${server.name}: a GitHub token is not given to ${url ? `${url.host}, which is not a host of GitHub's` : 'a local program'}.`,
    {
      server: server.name,
      remedy: url
        ? 'If it is your GitHub Enterprise Server, add "auth": { "method": "github" } to the server; else give it a token of its own by "auth": { "method": "bearer", "token": "${…}" }.'
        : 'Set the variable in the environment or in .env.',
    },
  );
}
