import { readFile } from 'node:fs/promises';
import { CountersignError, endpointFetch, type AuthServices } from '@countersign/core';
import { readDocument } from './credential-document.js';
import type { AwsCredentials } from './sign.js';

const ECS = 'http://169.254.170.2';
/** Besides https: this machine, and where ECS and EKS listen. */
const PLAIN = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\]|169\.254\.170\.(?:2|23)|\[fd00:ec2::23\])$/;

/**
 * The credentials of an ECS task or EKS pod. Ours and not the SDK's, whose deadline only writes a warning to stderr and waits on.
 * Throws CREDENTIAL_UNAVAILABLE, TIMEOUT or UNREACHABLE.
 */
export async function containerCredentials(
  services: Pick<AuthServices, 'env' | 'fetch' | 'clock' | 'conceal'>,
): Promise<AwsCredentials> {
  const { env } = services;
  const fail = (how: string): CountersignError =>
    new CountersignError('CREDENTIAL_UNAVAILABLE', `AWS container credentials failed: the endpoint ${how}.`, {
      remedy: 'Check the task or pod role, and AWS_CONTAINER_CREDENTIALS_FULL_URI.',
    });
  const relative = env['AWS_CONTAINER_CREDENTIALS_RELATIVE_URI'];
  const text = relative ? ECS + relative : (env['AWS_CONTAINER_CREDENTIALS_FULL_URI'] ?? '');
  if (!URL.canParse(text)) throw fail('has a wrong URL');
  const url = new URL(text);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && PLAIN.test(url.hostname)))
    throw fail('is neither https nor on this machine');
  const token = await authorization(env);
  if (token) services.conceal(token);
  const response = await endpointFetch(services).fetch(url, { headers: token ? { authorization: token } : {} });
  if (!response.ok) throw fail(`answered ${response.status}`);
  const found = readDocument(await response.text());
  if (!found) throw fail('did not answer credentials');
  return found;
}

/** EKS renews the file: it is read each time. */
async function authorization(env: AuthServices['env']): Promise<string | undefined> {
  const file = env['AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE'];
  if (!file) return env['AWS_CONTAINER_AUTHORIZATION_TOKEN'];
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    throw new CountersignError(
      'CREDENTIAL_UNAVAILABLE',
      `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE can't be read (${(error as { code?: string }).code ?? 'unreadable'}).`,
    );
  }
}
