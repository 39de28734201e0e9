import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { CountersignError, type AuthServices } from '@countersign/core';
import type { GcpOptions } from './options.js';

/** A Google credential file, read. */
export interface CredentialFile {
  readonly path: string;
  readonly json: CredentialJson;
}

/** The fields that we read ourselves; the library knows the rest. */
export interface CredentialJson {
  readonly type: string;
  readonly client_email?: string;
  readonly private_key?: string;
  readonly private_key_id?: string;
  readonly client_id?: string;
  readonly client_secret?: string;
  readonly refresh_token?: string;
  readonly project_id?: string;
  readonly quota_project_id?: string;
  readonly service_account_impersonation_url?: string;
  readonly source_credentials?: CredentialJson;
  readonly delegates?: string[];
  readonly account?: string;
  readonly [field: string]: unknown;
}

/** Where Application Default Credentials name a file: `keyFile`, GOOGLE_APPLICATION_CREDENTIALS, gcloud's well-known file. */
export function credentialPath(options: GcpOptions, services: AuthServices): string | undefined {
  if (options.keyFile !== undefined) return services.path(options.keyFile);
  const { env } = services;
  const named = env['GOOGLE_APPLICATION_CREDENTIALS'];
  if (named) return resolve(named);
  const folder =
    env['CLOUDSDK_CONFIG'] ||
    (process.platform === 'win32'
      ? env['APPDATA'] && join(env['APPDATA'], 'gcloud')
      : env['HOME'] && join(env['HOME'], '.config', 'gcloud'));
  if (!folder) return undefined;
  const wellKnown = join(folder, 'application_default_credentials.json');
  return existsSync(wellKnown) ? wellKnown : undefined;
}

/** Reads a credential file, anew at each call, so that a rotated key is taken up. Its secrets are concealed. */
export async function readCredentialFile(path: string, services: AuthServices): Promise<CredentialFile> {
  const unusable = (fact: string): CountersignError =>
    new CountersignError('CREDENTIAL_UNAVAILABLE', `The Google credential file ${path} ${fact}.`, {
      remedy:
        'Name a readable credential file by "keyFile" or GOOGLE_APPLICATION_CREDENTIALS, or run `gcloud auth application-default login`.',
    });
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw unusable(code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`);
  }
  let json: unknown;
  try {
    json = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch {
    throw unusable('is not JSON'); // the parser's own message quotes the file
  }
  if (typeof json !== 'object' || json === null || typeof (json as CredentialJson).type !== 'string')
    throw unusable('has no "type", so it is not a Google credential file');
  conceal(json as CredentialJson, services);
  return { path, json: json as CredentialJson };
}

function conceal(json: CredentialJson, services: AuthServices): void {
  for (const secret of [json.private_key, json.client_secret, json.refresh_token])
    if (typeof secret === 'string') services.conceal(secret);
  if (typeof json.source_credentials === 'object') conceal(json.source_credentials, services);
}
