import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from '@jest/globals';
import { testAuthProvider } from '@countersign/testing';
import bearer from '../src/index.js';

const TOKEN = 'token-of-the-contract';

describe('the provider of a token keeps the contract', () => {
  testAuthProvider(test, {
    plugin: bearer,
    scenario: () => ({
      options: { token: '${ACME_TOKEN}' },
      env: { ACME_TOKEN: TOKEN },
      secrets: [TOKEN],
      accepts: ({ headers }) => headers['authorization'] === `Bearer ${TOKEN}`,
    }),
  });
});

describe('the provider of a token file keeps the contract', () => {
  testAuthProvider(test, {
    plugin: bearer,
    async scenario() {
      const folder = await mkdtemp(join(tmpdir(), 'bearer-'));
      const tokenFile = join(folder, 'token');
      let token = TOKEN;
      await writeFile(tokenFile, token);
      return {
        options: { tokenFile },
        secrets: [token],
        accepts: ({ headers }) => headers['authorization'] === `Bearer ${token}`,
        revoke: () => writeFile(tokenFile, (token = `${TOKEN}-again`)),
        cutOff: () => rm(tokenFile, { force: true }),
        dispose: () => rm(folder, { recursive: true, force: true }),
      };
    },
  });
});
