import { CountersignError } from '@countersign/core';
import type { GcpOptions } from './options.js';

export interface Wanted {
  readonly kind: 'access' | 'id';
  /** Of an ID token. */
  readonly audience: string | undefined;
}

/** `api`: Google's own service. `run`: a service on Cloud Run, which belongs to whoever deployed it. */
export function googleHost(url: URL | undefined): 'api' | 'run' | undefined {
  if (url?.hostname.endsWith('.googleapis.com')) return 'api';
  if (url?.hostname.endsWith('.run.app')) return 'run';
  return undefined;
}

/** The token that a configured server gets: what the options say, else by its host. */
export function wantedToken(options: GcpOptions, url: URL): Wanted {
  const kind = options.token ?? (options.audience !== undefined || googleHost(url) === 'run' ? 'id' : 'access');
  return { kind, audience: kind === 'id' ? (options.audience ?? url.origin) : undefined };
}

/**
 * Throws AUTH_OPTIONS_INVALID, with the line to add, for a host that must not get a variable's value unless `auth` says so:
 * an access token opens all of the project to whoever holds it, an ID token only the audience that it names.
 * Without a name, only for hosts that get none of them.
 */
export function checkImplicitHost(name: string | undefined, url: URL | undefined, server: string): void {
  const host = googleHost(url);
  if (host === 'api' || (host === 'run' && name !== 'GCP_ACCESS_TOKEN')) return;
  if (host === 'run') {
    throw refused(
      `\${GCP_ACCESS_TOKEN} is not given to ${url?.host}, a Cloud Run service, which belongs to whoever deployed it`,
      server,
      'Use ${GCP_ID_TOKEN}, or "auth": { "method": "gcp" }, which sends Cloud Run an ID token. If the service really is to have the access token, add "auth": { "method": "gcp", "token": "access" }.',
    );
  }
  const line = name === 'GCP_ID_TOKEN' ? '"token": "id", "audience": "…"' : '"token": "access"';
  throw refused(
    `Google credentials are not given to ${url ? `${url.host}, which is not a host of Google's` : 'a local program'}`,
    server,
    `If it is to have them, add "auth": { "method": "gcp", ${line} } to the server.`,
  );
}

function refused(fact: string, server: string, remedy: string): CountersignError {
  return new CountersignError('AUTH_OPTIONS_INVALID', `Server ${server}: ${fact}.`, { server, remedy });
}
