import { describe, test } from '@jest/globals';
import { testAuthProvider } from '@countersign/testing';
import headers from '../src/index.js';

const KEY = 'key-of-the-contract';

describe('the provider of headers keeps the contract', () => {
  testAuthProvider(test, {
    plugin: headers,
    scenario: () => ({
      options: { headers: { 'X-Api-Key': '${ACME_KEY}', 'X-Request': '${request:method} ${request:nonce}' } },
      env: { ACME_KEY: KEY },
      secrets: [KEY],
      accepts: ({ headers: got, method }) =>
        got['x-api-key'] === KEY && got['x-request']?.startsWith(`${method} `) === true,
    }),
  });
});
