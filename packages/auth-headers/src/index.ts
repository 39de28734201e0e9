import { defineAuthProvider } from '@countersign/core';
import { headersProvider } from './headers.js';
import { headersOptions } from './options.js';

export { headersProvider } from './headers.js';
export { headersOptions, type HeadersOptions } from './options.js';

/** The auth method `headers`. */
export default defineAuthProvider('@countersign/auth-headers', {
  type: 'headers',
  options: headersOptions,
  sets: ({ headers }) => Object.keys(headers).map((name) => name.toLowerCase()),
  create: headersProvider,
});
