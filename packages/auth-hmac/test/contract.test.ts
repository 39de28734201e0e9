import { createHmac } from 'node:crypto';
import { describe, test } from '@jest/globals';
import { testAuthProvider } from '@countersign/testing';
import hmac from '../src/index.js';

const SECRET = 'secret-of-the-contract';

describe('the provider of an HMAC keeps the contract', () => {
  testAuthProvider(test, {
    plugin: hmac,
    scenario: () => ({
      options: { secret: '${ACME_SECRET}' },
      env: { ACME_SECRET: SECRET },
      secrets: [SECRET],
      accepts({ headers, body }) {
        const message = `${headers['x-timestamp'] ?? ''}.${body}`;
        return headers['x-signature'] === createHmac('sha256', SECRET).update(message).digest('hex');
      },
    }),
  });
});
