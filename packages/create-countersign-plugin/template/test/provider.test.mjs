import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { testAuthProvider } from '@countersign/testing';
import plugin from '__NAME__';

const KEY = 'a-key-that-must-show-nowhere';

testAuthProvider(test, {
  plugin,
  scenario: () => ({
    options: { key: '${__VARIABLE___KEY}' },
    env: { __VARIABLE___KEY: KEY },
    secrets: [KEY],
    accepts({ headers }) {
      const [, nonce, proof] = /^__SCHEME__ nonce=(\S+), proof=(\S+)$/.exec(headers.authorization ?? '') ?? [];
      return nonce !== undefined && proof === createHmac('sha256', KEY).update(nonce).digest('hex');
    },
  }),
});
