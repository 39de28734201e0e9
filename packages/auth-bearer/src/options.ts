import * as z from 'zod/mini';

export const bearerOptions = z
  .strictObject({
    token: z.optional(
      z.string().check(z.minLength(1)).register(z.globalRegistry, {
        description: 'The token: "${ACME_TOKEN}". Computed for every request.',
        secret: true,
        template: true,
      }),
    ),
    tokenFile: z.optional(
      z.string().check(z.minLength(1)).register(z.globalRegistry, {
        description: 'A file that holds the token and nothing else; read again when it changes.',
      }),
    ),
  })
  .check(
    z.refine(
      (options) => (options.token === undefined) !== (options.tokenFile === undefined),
      'needs either "token" or "tokenFile"',
    ),
  );

export type BearerOptions = z.infer<typeof bearerOptions>;
