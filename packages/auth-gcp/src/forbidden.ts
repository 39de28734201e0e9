import type { RefusalMeaning, ResponseHead } from '@countersign/core';
import { describe } from './failures.js';
import { googleHost } from './hosts.js';
import type { Source } from './sources.js';

interface ErrorInfo {
  readonly reason?: unknown;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/** A 403 is IAM's or the API's answer to a good token: what it means and what mends it. `undefined` when nothing is known of it. */
export function explainForbidden(
  { url, headers }: ResponseHead,
  body: string,
  about: { source: Source | undefined; scopes: readonly string[] },
): RefusalMeaning | undefined {
  const { status, reason, info } = parse(body);
  const who = about.source ? describe(about.source) : 'the credential';
  switch (reason) {
    case 'SERVICE_DISABLED': {
      const service = name(info.metadata?.['service']) ?? url.hostname;
      const project = name(info.metadata?.['consumer'])?.replace(/^projects\//, '');
      return {
        said: `SERVICE_DISABLED: the API ${service} is not enabled${project ? ` in project ${project}` : ''}`,
        remedy: `Run \`gcloud services enable ${service}${project ? ` --project ${project}` : ''}\`, or set "quotaProject" to a project that has it enabled.`,
      };
    }
    case 'USER_PROJECT_DENIED':
      return {
        said: `USER_PROJECT_DENIED: the quota project may not be used by ${who}`,
        remedy:
          'Give the identity roles/serviceusage.serviceUsageConsumer on the quota project, or set another "quotaProject".',
      };
    case 'ACCESS_TOKEN_SCOPE_INSUFFICIENT':
      return {
        said: `ACCESS_TOKEN_SCOPE_INSUFFICIENT: the scopes ${about.scopes.join(' ')} do not cover the call`,
        remedy:
          'Set "scopes" to what the API asks for; user credentials get theirs at `gcloud auth application-default login --scopes=…`.',
      };
    case 'RATE_LIMIT_EXCEEDED':
      return {
        said: 'RATE_LIMIT_EXCEEDED: the quota is used up for now',
        remedy: 'Try again in a minute, or ask for more quota.',
      };
  }
  if (headers.has('x-goog-iap-generated-response'))
    return {
      said: `Identity-Aware Proxy does not admit ${who}`,
      remedy:
        'Give the identity roles/iap.httpsResourceAccessor on the resource, and check that "audience" is its OAuth client ID.',
    };
  if (googleHost(url) === 'run')
    return {
      said: `Cloud Run does not let ${who} call the service`,
      remedy: 'Give the identity roles/run.invoker on the service.',
    };
  if (googleHost(url) === 'api')
    return {
      said: `${status ? `${status}: ` : ''}${who} lacks a role`,
      remedy:
        'Give the identity the role that the service\'s MCP tools need: roles/mcp.toolUser, and the service\'s own; user credentials may need "quotaProject" besides.',
    };
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
