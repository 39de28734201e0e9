import * as z from 'zod/mini';

export const hmacOptions = z.strictObject({
  secret: z.string().check(z.minLength(1)).register(z.globalRegistry, {
    description: 'The key of the HMAC: "${ACME_SECRET}".',
    secret: true,
  }),
  secretEncoding: z._default(z.enum(['utf8', 'hex', 'base64']), 'utf8').register(z.globalRegistry, {
    description: 'How the key is written.',
  }),
  algorithm: z._default(z.enum(['sha256', 'sha384', 'sha512', 'sha1']), 'sha256').register(z.globalRegistry, {
    description: 'The hash.',
  }),
  encoding: z._default(z.enum(['hex', 'base64', 'base64url']), 'hex').register(z.globalRegistry, {
    description: 'How signature and body hash are written.',
  }),
  timestamp: z._default(z.enum(['seconds', 'milliseconds', 'iso']), 'seconds').register(z.globalRegistry, {
    description: 'How ${HMAC_TIMESTAMP} is written.',
  }),
  message: z
    ._default(z.string(), '${HMAC_TIMESTAMP}.${HMAC_BODY}')
    .register(z.globalRegistry, { description: 'What is signed.', template: true }),
  headers: z
    ._default(z.record(z.string(), z.string()), {
      'X-Timestamp': '${HMAC_TIMESTAMP}',
      'X-Signature': '${HMAC_SIGNATURE}',
    })
    .register(z.globalRegistry, { description: 'The headers that carry it.', template: true }),
});

export type HmacOptions = z.infer<typeof hmacOptions>;
