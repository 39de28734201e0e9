import { CountersignError, endpointFetch, type AuthServices } from '@countersign/core';
import { parseRefusal } from './refusal.js';
import { sign, type AwsCredentials } from './sign.js';

/** Who AWS takes the credential for. */
export interface CallerIdentity {
  readonly arn: string;
  readonly account: string | undefined;
  readonly userId: string | undefined;
}

/** Asks STS who the caller is (GetCallerIdentity), which needs no permission. Throws FORBIDDEN when STS refuses the credential, TIMEOUT or UNREACHABLE. */
export async function callerIdentity(
  credentials: AwsCredentials,
  region: string,
  services: Pick<AuthServices, 'fetch' | 'clock' | 'env'>,
): Promise<CallerIdentity> {
  const { env, clock } = services;
  const url =
    env['AWS_ENDPOINT_URL_STS'] ||
    env['AWS_ENDPOINT_URL'] ||
    `https://sts.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}/`;
  const body = 'Action=GetCallerIdentity&Version=2011-06-15';
  const signed = sign(
    { method: 'POST', url, headers: { 'content-type': 'application/x-www-form-urlencoded' }, body },
    { credentials, region, service: 'sts', date: new Date(clock.now()) },
  );
  const headers = new Headers({ ...signed.headers, accept: '*/*' });
  headers.delete('host'); // the connection's own
  const response = await endpointFetch(services).fetch(signed.url, { method: 'POST', headers, body });
  const text = await response.text();
  const field = (name: string): string | undefined => new RegExp(`<${name}>([^<]{1,2048})</${name}>`).exec(text)?.[1];
  const arn = field('Arn');
  if (!response.ok || !arn) {
    const { code, message } = parseRefusal(response, text);
    throw new CountersignError(
      'FORBIDDEN',
      `STS refuses the credential: ${[code, message].filter(Boolean).join(': ') || response.status}`,
    );
  }
  return { arn, account: field('Account'), userId: field('UserId') };
}
