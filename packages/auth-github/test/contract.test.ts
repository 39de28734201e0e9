import { describe, test } from '@jest/globals';
import { startGuard } from '@countersign/test-servers';
import { createGitHub } from '@countersign/test-servers/github';
import { testAuthProvider } from '@countersign/testing';
import github from '../src/index.js';

describe('the provider of GitHub keeps the contract', () => {
  testAuthProvider(test, {
    plugin: github,
    async scenario() {
      const hub = await createGitHub();
      const api = await startGuard({ verify: hub.api });
      const { privateKey } = await hub.app('robot', 7);
      hub.install({
        id: 9,
        account: 'example',
        app: 'robot',
        permissions: { contents: 'read' },
        repositories: ['site'],
      });
      const good = hub.mcp();
      return {
        options: { appId: 7, privateKey: '${APP_KEY}', apiUrl: `${api.origin}/api/v3` },
        env: { APP_KEY: privateKey },
        secrets: [privateKey],
        accepts: async ({ headers }) => (await good({ headers } as never, Buffer.alloc(0))) === undefined,
        revoke: () => hub.issued.forEach(({ token }) => hub.revoke(token)),
        renewals: () => hub.issued.length,
        cutOff: () => void (hub.settings.fault = () => ({ status: 500, body: 'out of order' })),
        dispose: () => api.close(),
      };
    },
  });
});
