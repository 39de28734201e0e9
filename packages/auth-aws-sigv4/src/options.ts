import * as z from 'zod/mini';
import { maySign } from './header-rules.js';

const text = () => z.string().check(z.minLength(1));
const registry = z.globalRegistry;

const credentials = z.strictObject({
  accessKeyId: text().register(registry, { description: 'The access key id.' }),
  secretAccessKey: text().register(registry, {
    description: 'The secret access key: a variable, ${NAME}.',
    secret: true,
  }),
  sessionToken: z.optional(
    z.string().register(registry, { description: 'The session token of temporary credentials.', secret: true }),
  ),
});

export const sigV4Options = z.strictObject({
  service: z.optional(
    text().register(registry, {
      description:
        'The service name in the signature, such as "execute-api". Needed only for hosts that are not AWS\'s own.',
    }),
  ),
  region: z.optional(
    text().register(registry, {
      description:
        "The region in the signature. By default the host's, then AWS_REGION, AWS_DEFAULT_REGION, the profile's.",
    }),
  ),
  profile: z.optional(
    text().register(registry, {
      description:
        'A profile of ~/.aws/config or ~/.aws/credentials. By default the environment, then AWS_PROFILE, then the whole credential chain.',
    }),
  ),
  credentials: z.optional(
    credentials.register(registry, {
      description:
        'Fixed credentials in place of the environment and the chain: `accessKeyId`, `secretAccessKey`, `sessionToken`, each best a variable.',
    }),
  ),
  roleArn: z.optional(text().register(registry, { description: 'A role to assume with the credentials found.' })),
  roleSessionName: z.optional(
    z
      .string()
      .check(z.regex(/^[\w+=,.@-]{2,64}$/))
      .register(registry, {
        description:
          "The session's name in the role's audit trail. By default AWS_ROLE_SESSION_NAME, then `countersign-` and the server's name.",
      }),
  ),
  externalId: z.optional(text().register(registry, { description: 'The external id that the role asks for.' })),
  payload: z.optional(
    z.enum(['signed', 'unsigned', 'header']).register(registry, {
      description:
        '`signed`: the signature covers the body. `header`: its hash is sent besides, in x-amz-content-sha256. `unsigned`: UNSIGNED-PAYLOAD is sent there. By default `unsigned` for VPC Lattice, else `signed`.',
    }),
  ),
  signedHeaders: z.optional(
    z
      .array(
        z
          .string()
          .check(z.refine((name) => maySign(name.toLowerCase()), 'must not name a header that intermediaries change')),
      )
      .register(registry, {
        description: 'Headers to sign besides host, content-type, amz-sdk-invocation-id and x-amz-*.',
      }),
  ),
});

export type SigV4Options = z.infer<typeof sigV4Options>;
