import * as z from 'zod/mini';

/** What the transport reads of a server's configuration. */
export const options = z.strictObject({
  url: z.string().register(z.globalRegistry, { description: "The URL of the server's stream of events." }),
  maxMessageSize: z._default(z.number().check(z.int(), z.positive()), 16 * 1024 * 1024).register(z.globalRegistry, {
    description: 'The largest message that is accepted from the server, in characters.',
  }),
});

export type SseOptions = z.infer<typeof options>;
