import { CountersignError, findCountersignError } from '@countersign/core';
import type { Source } from './sources.js';

const LOGIN = 'Run `gcloud auth application-default login`.';

interface LibraryError {
  readonly message?: string;
  readonly code?: unknown;
  readonly response?: {
    readonly status?: number;
    readonly config?: { readonly url?: unknown };
    readonly data?: unknown;
  };
}

/**
 * What the library threw, as an error of ours. The library's own error is never a cause: it shows the request, with the
 * refresh token or the assertion in it.
 */
export function explainFailure(error: unknown, source: Source): CountersignError {
  const known = findCountersignError(error);
  if (known) return known;
  const { response, message = '' } = error as LibraryError;
  const described = describe(source);
  if (response?.status === undefined)
    return new CountersignError('CREDENTIAL_UNAVAILABLE', `${described}: ${localReason(message)}.`);
  const { status } = response;
  const { code, detail } = reasonOf(response.data);
  const host = hostOf(response.config?.url);
  const answer = `${host} answered ${status}${code ? ` ${code}` : ''}${detail ? ` (${detail})` : ''}`;
  const fail = (
    kind: 'TOKEN_REQUEST_FAILED' | 'FORBIDDEN' | 'CREDENTIAL_UNAVAILABLE' | 'RATE_LIMITED' | 'SERVER_ERROR',
    remedy?: string,
  ) => new CountersignError(kind, `${described}: ${answer}.`, { status, ...(remedy === undefined ? {} : { remedy }) });
  const user =
    source.file?.json.type === 'authorized_user' || source.file?.json.type === 'external_account_authorized_user';
  if (user && (code === 'invalid_grant' || code === 'invalid_rapt' || code === 'invalid_client'))
    return fail('CREDENTIAL_UNAVAILABLE', `The sign-in has expired or was revoked. ${LOGIN}`);
  if (code === 'invalid_grant')
    return fail(
      'TOKEN_REQUEST_FAILED',
      'The key was deleted, belongs to another account, or the clock is wrong: make a new key for the account.',
    );
  if (status === 429) return fail('RATE_LIMITED', 'Try again in a minute.');
  if (status >= 500)
    return fail('SERVER_ERROR', 'Try again; Google reports outages at https://status.cloud.google.com.');
  if (status === 403 || status === 404)
    return fail(
      'FORBIDDEN',
      'Enable the IAM Service Account Credentials API and give your identity roles/iam.serviceAccountTokenCreator on the account that it impersonates.',
    );
  return fail('TOKEN_REQUEST_FAILED', user ? LOGIN : undefined);
}

/** The source in words: "service account file ~/key.json". */
export function describe({ file, impersonate }: Source): string {
  const kinds: Record<string, string> = {
    service_account: 'service account file',
    authorized_user: 'user credentials',
    external_account: 'workload identity federation',
    external_account_authorized_user: 'workforce identity federation',
    impersonated_service_account: 'impersonated service account',
  };
  const base = file ? `${kinds[file.json.type] ?? 'credential file'} ${file.path}` : 'metadata server';
  return impersonate === undefined ? base : `${base}, impersonating ${impersonate}`;
}

/** `{ error: "invalid_grant", error_description }` of OAuth, or `{ error: { status, message } }` of Google's APIs. */
function reasonOf(data: unknown): { code: string | undefined; detail: string | undefined } {
  const { error, error_description, error_subtype } = (typeof data === 'object' && data !== null ? data : {}) as Record<
    string,
    unknown
  >;
  if (typeof error === 'object' && error !== null) {
    const { status, message } = error as Record<string, unknown>;
    return { code: word(status), detail: sentence(message) };
  }
  return { code: word(error_subtype) ?? word(error), detail: sentence(error_description) };
}

const word = (value: unknown): string | undefined =>
  typeof value === 'string' && /^[\w.-]{1,60}$/.test(value) ? value : undefined;

/** An endpoint's explanation, unless it could hold something of the request: a long run without a space. */
function sentence(value: unknown): string | undefined {
  if (typeof value !== 'string' || value.length > 200 || /[^\x20-\x7e]|[^\s]{80}/.test(value)) return undefined;
  return value.replace(/\.$/, '');
}

function hostOf(url: unknown): string {
  const text = String(url);
  return URL.canParse(text) ? new URL(text).host : 'Google';
}

/** The library's own complaints, by what they are about; their text may quote a program's output or a file. */
function localReason(message: string): string {
  if (/executable/i.test(message)) return 'the program that the credential file names failed or answered wrongly';
  if (/AWS|region/i.test(message)) return 'the AWS credentials or region for the federation are missing';
  if (/subject[ _]token|credential_source|credential source|does not exist|not a file/i.test(message))
    return 'the subject token cannot be read';
  return 'no token could be made';
}
