import { defineAuthProvider } from '@countersign/core';
import { bearerProvider } from './bearer.js';
import { bearerOptions } from './options.js';

export { bearerProvider } from './bearer.js';
export { bearerOptions, type BearerOptions } from './options.js';

/** The auth method `bearer`. */
export default defineAuthProvider('@countersign/auth-bearer', {
  type: 'bearer',
  options: bearerOptions,
  sets: () => ['authorization'],
  create: bearerProvider,
});
