import * as z from 'zod/mini';

/** What the transport reads of a server's configuration, beside `env`, whose variables core computes. */
export const options = z.strictObject({
  command: z
    .string()
    .check(z.minLength(1))
    .register(z.globalRegistry, { description: 'The program to start: a name on PATH, or a path.' }),
  args: z._default(z.array(z.string()), []).register(z.globalRegistry, { description: 'Its arguments.' }),
  cwd: z.optional(z.string()).register(z.globalRegistry, {
    description: "Its working folder, against the configuration's; the one that Countersign runs in when absent.",
  }),
  maxMessageSize: z
    ._default(z.number().check(z.int(), z.positive()), 16 * 1024 * 1024)
    .register(z.globalRegistry, { description: 'The largest message that is accepted from the server, in bytes.' }),
});

export type StdioOptions = z.infer<typeof options>;
