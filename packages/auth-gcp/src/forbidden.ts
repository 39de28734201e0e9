import { CountersignError, type ChallengeContext } from '@countersign/core';
import { describe } from './failures.js';
import { googleHost } from './hosts.js';
import type { Source } from './sources.js';

interface ErrorInfo {
  readonly reason?: unknown;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/** A 403 is IAM's or the API's answer to a good token: what it means and what mends it. `undefined` when nothing is known of it. */
export async function explainForbidden(
  { request, response, body }: Pick<ChallengeContext, 'request' | 'response' | 'body'>,
  about: { server: string; source: Source | undefined; scopes: readonly string[] },
): Promise<CountersignError | undefined> {
  const { status, reason, info } = parse(await body());
  const url = request.url;
  const who = about.source ? describe(about.source) : 'the credential';
  const forbidden = (fact: string, remedy: string): CountersignError =>
    new CountersignError('FORBIDDEN', `403 Forbidden from ${url.host}: ${fact}.`, {
      remedy,
      server: about.server,
      status: 403,
    });

  switch (reason) {
    case 'SERVICE_DISABLED': {
      const service = name(info.metadata?.['service']) ?? url.hostname;
      const project = name(info.metadata?.['consumer'])?.replace(/^projects\//, '');
      return forbidden(
        `the API ${service} is not enabled${project ? ` in project ${project}` : ''} (SERVICE_DISABLED)`,
        `Run \`gcloud services enable ${service}${project ? ` --project ${project}` : ''}\`, or set "quotaProject" to a project that has it enabled.`,
      );
    }
    case 'USER_PROJECT_DENIED':
      return forbidden(
        `the quota project may not be used by ${who} (USER_PROJECT_DENIED)`,
        'Give the identity roles/serviceusage.serviceUsageConsumer on the quota project, or set another "quotaProject".',
      );
    case 'ACCESS_TOKEN_SCOPE_INSUFFICIENT':
      return forbidden(
        `the token's scopes (${about.scopes.join(' ')}) do not cover the call`,
        'Set "scopes" to what the API asks for; user credentials get theirs at `gcloud auth application-default login --scopes=…`.',
      );
    case 'RATE_LIMIT_EXCEEDED':
      return new CountersignError('RATE_LIMITED', `${url.host} answered 403: the quota is used up for now.`, {
        server: about.server,
        status: 403,
      });
  }
  if (response.headers.has('x-goog-iap-generated-response'))
    return forbidden(
      `Identity-Aware Proxy does not admit ${who}`,
      'Give the identity roles/iap.httpsResourceAccessor on the resource, and check that "audience" is its OAuth client ID.',
    );
  if (googleHost(url) === 'run')
    return forbidden(
      `Cloud Run does not let ${who} call the service`,
      'Give the identity roles/run.invoker on the service.',
    );
  if (googleHost(url) === 'api')
    return forbidden(
      `${who} lacks a role${status ? ` (${status})` : ''}`,
      'Give the identity the role that the service\'s MCP tools need (roles/mcp.toolUser, and the service\'s own), or set "quotaProject" if the message above asks for one.',
    );
  return undefined;
}

function parse(text: string): { status: string | undefined; reason: string | undefined; info: ErrorInfo } {
  const none = { status: undefined, reason: undefined, info: {} };
  try {
    const { error } = JSON.parse(text) as { error?: { status?: unknown; details?: unknown } };
    const details = Array.isArray(error?.details) ? (error.details as ErrorInfo[]) : [];
    const info = details.find((detail) => typeof detail?.reason === 'string') ?? {};
    return { status: name(error?.status), reason: name(info.reason), info };
  } catch {
    return none;
  }
}

/** A name of Google's that may be shown: no spaces, no surprises. */
const name = (value: unknown): string | undefined =>
  typeof value === 'string' && /^[\w./:-]{1,120}$/.test(value) ? value : undefined;
