import { defineAuthProvider } from '@countersign/core';
import { sigV4Provider } from './aws-sigv4.js';
import { sigV4Options } from './options.js';

export { sigV4Provider } from './aws-sigv4.js';
export { awsHost, HOSTS, type AwsHost } from './hosts.js';
export { sigV4Options, type SigV4Options } from './options.js';
export { sign, type AwsCredentials, type SignableRequest, type SignedRequest, type SignOptions } from './sign.js';

/** The auth method `aws-sigv4`, and the variables of a header template that signs. */
export default defineAuthProvider('@countersign/auth-aws-sigv4', {
  type: 'aws-sigv4',
  stage: 'signature',
  options: sigV4Options,
  variables: ['TIMESTAMP', 'AWS_SESSION_TOKEN', 'AWS_ACCESS_KEY_ID', 'AWS_REGION'],
  signatures: ['AWS_SIGNATURE'],
  sets: () => ['authorization', 'x-amz-date', 'x-amz-security-token', 'amz-sdk-invocation-id'],
  create: sigV4Provider,
});
