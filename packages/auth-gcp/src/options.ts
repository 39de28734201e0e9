import * as z from 'zod/mini';

const text = (description: string) =>
  z.optional(z.string().check(z.minLength(1)).register(z.globalRegistry, { description }));

/** What `"auth": { "method": "gcp", … }` may say. */
export const gcpOptions = z.strictObject({
  token: z.optional(
    z.enum(['access', 'id']).register(z.globalRegistry, {
      description:
        'Which token is sent. By default an ID token to *.run.app or where `audience` is given, else an access token.',
    }),
  ),
  audience: text(
    "The ID token's audience: by default the server's origin, as Cloud Run wants it; behind IAP its OAuth client ID.",
  ),
  scopes: z.optional(
    z
      .union([z.string(), z.array(z.string())])
      .register(z.globalRegistry, { description: "The access token's scopes. cloud-platform by default." }),
  ),
  quotaProject: text(
    'The project that pays and counts, sent as x-goog-user-project. By default GOOGLE_CLOUD_QUOTA_PROJECT, else what the credential file says.',
  ),
  impersonate: text('Email of the service account whose token is asked for with the credential at hand.'),
  keyFile: text(
    'Credential file of any kind (service account, user, external_account …), instead of Application Default Credentials.',
  ),
  header: z.optional(
    z.enum(['Authorization', 'X-Serverless-Authorization', 'Proxy-Authorization']).register(z.globalRegistry, {
      description: "The header that carries the token; the others leave Authorization to the application's own.",
    }),
  ),
});

export type GcpOptions = z.infer<typeof gcpOptions>;

export const CLOUD_PLATFORM = 'https://www.googleapis.com/auth/cloud-platform';

/** The scopes as a list; cloud-platform when none are given. */
export function scopeList(options: GcpOptions): string[] {
  const { scopes } = options;
  const list = typeof scopes === 'string' ? scopes.split(/[\s,]+/).filter(Boolean) : (scopes ?? []);
  return list.length > 0 ? [...list] : [CLOUD_PLATFORM];
}
