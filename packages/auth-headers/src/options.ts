import * as z from 'zod/mini';

export const headersOptions = z.strictObject({
  headers: z.record(z.string(), z.string()).register(z.globalRegistry, {
    description: 'Header names and values. A value may hold ${…}, which is computed for every request.',
    template: true,
  }),
});

export type HeadersOptions = z.infer<typeof headersOptions>;
