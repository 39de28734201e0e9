import { ENDPOINT_DEADLINE, endpointFetch, type AuthServices } from '@countersign/core';
import { readDocument } from './credential-document.js';
import type { AwsCredentials } from './sign.js';

const ROLES = '/latest/meta-data/iam/security-credentials/';
/** Milliseconds: where there is no such service, packets to its address vanish. A configured one is given its time. */
const DEADLINE = 1_000;

class Refused extends Error {}

/**
 * The credentials of the EC2 instance's role, by its metadata service (IMDSv2, or v1 where tokens are not given out).
 * Ours and not the SDK's, which looks for the endpoint in process.env alone. Rejects where there is no such service.
 */
export async function instanceCredentials(
  services: Pick<AuthServices, 'env' | 'fetch' | 'clock'>,
): Promise<AwsCredentials> {
  const { env } = services;
  const ipv6 = env['AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE']?.toLowerCase() === 'ipv6';
  const configured = env['AWS_EC2_METADATA_SERVICE_ENDPOINT'];
  const { fetch } = endpointFetch(services, configured ? ENDPOINT_DEADLINE : DEADLINE);
  const base = configured || (ipv6 ? 'http://[fd00:ec2::254]' : 'http://169.254.169.254');
  const ask = async (path: string, init: RequestInit): Promise<string> => {
    const response = await fetch(new URL(path, base), init);
    if (!response.ok) throw new Refused(`the metadata service answered ${response.status}`);
    return response.text();
  };
  const token = await ask('/latest/api/token', {
    method: 'PUT',
    headers: { 'x-aws-ec2-metadata-token-ttl-seconds': '300' },
  }).catch((error: unknown) => {
    // One that is configured and silent is silent for v1 too.
    if (env['AWS_EC2_METADATA_V1_DISABLED'] === 'true' || (configured && !(error instanceof Refused))) throw error;
    return undefined;
  });
  const init = token === undefined ? {} : { headers: { 'x-aws-ec2-metadata-token': token } };
  const role = (await ask(ROLES, init)).trim().split('\n')[0] ?? '';
  const found = readDocument(await ask(ROLES + encodeURIComponent(role), init));
  if (!found) throw new Error('the metadata service did not answer credentials');
  return found;
}
