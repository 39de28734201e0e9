import { defineAuthProvider, type AuthProviderDefinition } from '@countersign/core';
import { createGcp } from './gcp.js';
import { gcpOptions, type GcpOptions } from './options.js';

/** Google Cloud credentials: access tokens for Google's APIs, ID tokens for Cloud Run and IAP. */
export const gcp: AuthProviderDefinition<GcpOptions> = {
  type: 'gcp',
  options: gcpOptions,
  variables: ['GCP_ACCESS_TOKEN', 'GCP_ID_TOKEN', 'GCP_PROJECT', 'GCP_QUOTA_PROJECT'],
  sets: ({ header, quotaProject }) => [
    (header ?? 'Authorization').toLowerCase(),
    ...(quotaProject === undefined ? [] : ['x-goog-user-project']),
  ],
  create: (options, services) => createGcp(options, services),
};

export default defineAuthProvider('@countersign/auth-gcp', gcp);
export { createGcp } from './gcp.js';
export { gcpOptions, type GcpOptions } from './options.js';
