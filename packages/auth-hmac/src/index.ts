import { defineAuthProvider } from '@countersign/core';
import { hmacProvider } from './hmac.js';
import { hmacOptions } from './options.js';

export { hmacProvider } from './hmac.js';
export { hmacOptions, type HmacOptions } from './options.js';

/** The auth method `hmac`. */
export default defineAuthProvider('@countersign/auth-hmac', {
  type: 'hmac',
  stage: 'signature',
  options: hmacOptions,
  variables: ['HMAC_TIMESTAMP', 'HMAC_NONCE'],
  signatures: ['HMAC_SIGNATURE', 'HMAC_BODY', 'HMAC_BODY_HASH'],
  sets: ({ headers }) => Object.keys(headers).map((name) => name.toLowerCase()),
  create: hmacProvider,
});
