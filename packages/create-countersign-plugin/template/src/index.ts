import { createHmac } from 'node:crypto';
import { defineAuthProvider } from '@countersign/core';
import * as z from 'zod';

/** The fields of `auth` beside `method`. A secret one is marked: it is never shown, and a literal draws a warning. */
const options = z.strictObject({
  key: z.string().min(1).meta({ secret: true, description: 'The key: "${__VARIABLE___KEY}".' }),
});

/** The auth method `__SCHEME__`: proves the key by an HMAC over a nonce that is new for each attempt. Replace it by your scheme. */
export default defineAuthProvider('__NAME__', {
  type: '__SCHEME__',
  options,
  sets: () => ['authorization'],
  create: ({ key }) => ({
    authorize({ headers, attempt }) {
      const proof = createHmac('sha256', key).update(attempt.nonce).digest('hex');
      headers.set('authorization', `__SCHEME__ nonce=${attempt.nonce}, proof=${proof}`);
    },
    status: () => ({ state: 'ready', source: 'the key of the configuration' }),
  }),
});
