import * as z from 'zod/mini';

export const commandOptions = z.strictObject({
  command: z
    .array(z.string().check(z.minLength(1)))
    .check(z.minLength(1))
    .register(z.globalRegistry, {
      description: 'The program and its arguments: ["acme-login", "--mcp"]. No shell.',
    }),
  cwd: z.optional(z.string()).register(z.globalRegistry, {
    description: "Its working folder; the configuration's when absent.",
  }),
  ttl: z.optional(z.number().check(z.positive())).register(z.globalRegistry, {
    description: 'Seconds for which output without an expiry of its own is used; until a 401 when absent.',
  }),
});

export type CommandOptions = z.infer<typeof commandOptions>;
