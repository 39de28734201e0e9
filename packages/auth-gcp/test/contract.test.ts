import { describe, test } from '@jest/globals';
import { startGuard } from '@countersign/test-servers';
import { createGoogle } from '@countersign/test-servers/google';
import { testAuthProvider } from '@countersign/testing';
import gcp from '../src/index.js';

describe('the provider of Google Cloud keeps the contract', () => {
  testAuthProvider(test, {
    plugin: gcp,
    async scenario() {
      const google = await createGoogle();
      const metadata = await startGuard({ verify: google.endpoints });
      const revoked = new Set<string>();
      const good = google.accessToken();
      return {
        options: { token: 'access' },
        env: { GCE_METADATA_HOST: new URL(metadata.origin).host },
        get secrets() {
          return google.issued.map(({ token }) => token);
        },
        accepts: async ({ headers }) =>
          !revoked.has(headers['authorization'] ?? '') &&
          (await good({ headers } as never, Buffer.alloc(0))) === undefined,
        revoke: () => google.issued.forEach(({ token }) => revoked.add(`Bearer ${token}`)),
        renewals: () => google.issued.length,
        cutOff: () => void (google.settings.fault = () => ({ status: 500, body: 'out of order' })),
        dispose: () => metadata.close(),
      };
    },
  });
});
