import * as z from 'zod/mini';

function described<T extends z.ZodMiniType>(schema: T, description: string): T {
  z.globalRegistry.add(schema, { description });
  return schema;
}

const seconds = () => z.number().check(z.positive(), z.maximum(86_400));

/** One server. Fields that are not listed draw a warning; a transport of a plugin may read more. */
export const serverEntry = z.looseObject({
  transport_type: z.optional(
    described(
      z.string(),
      "streamable_http, sse, stdio, or a plugin's. Without it `url` means streamable HTTP (with fallback to SSE), `command` means stdio.",
    ),
  ),
  type: z.optional(described(z.string(), 'Same as transport_type.')),
  transport: z.optional(described(z.string(), 'Same as transport_type.')),
  url: z.optional(described(z.string(), 'Where the server answers.')),
  headers: z.optional(
    described(
      z.record(z.string(), z.string()),
      'Request headers; each value may hold ${…}, computed per request. Short for { "method": "headers" } in `auth`.',
    ),
  ),
  auth: z.optional(
    described(
      z.union([z.looseObject({}), z.array(z.looseObject({}))]),
      'One method or a list of them: { "method": "oauth", … }.',
    ),
  ),
  profile: z.optional(
    described(
      z.string().check(z.minLength(1), z.maxLength(128)),
      'Which of several accounts to use; "default" when absent.',
    ),
  ),
  ca: z.optional(described(z.string(), 'File with the PEM certificates of further authorities to trust.')),
  clientCert: z.optional(described(z.string(), 'File with the client certificate, PEM.')),
  clientKey: z.optional(described(z.string(), "File with the client certificate's key, PEM.")),
  timeout: z.optional(described(seconds(), 'Deadline of each request, in seconds; 60 when absent.')),
  sse_read_timeout: z.optional(
    described(seconds(), 'A stream without a byte for so many seconds is lost, and connected anew.'),
  ),
  command: z.optional(described(z.string(), 'stdio: the program to start.')),
  args: z.optional(described(z.array(z.string()), 'stdio: its arguments.')),
  env: z.optional(
    described(z.record(z.string(), z.string()), 'stdio: environment variables for it; each value may hold ${…}.'),
  ),
  cwd: z.optional(described(z.string(), 'stdio: its working folder.')),
});

export type ServerEntry = z.infer<typeof serverEntry>;

/** What is not of one server: the top-level key `countersign`. */
export const ownSettings = z.strictObject({
  plugins: z.optional(
    described(
      z.array(z.string()),
      'Packages (or paths relative to this file) with further auth methods, transports, variables or stores.',
    ),
  ),
  allowInsecureHttp: z.optional(
    described(z.array(z.string()), 'Hosts (host or host:port) to which credentials may travel over plain http.'),
  ),
  allowedOrigins: z.optional(
    described(z.array(z.string()), "Further origins at which a server's authorization endpoints may be."),
  ),
  defaults: z.optional(
    described(z.record(z.string(), z.unknown()), 'Fields for every server that does not set them itself.'),
  ),
});

/** Fields that other programs keep in the same entries; passed over without a word. */
export const FOREIGN_FIELDS = new Set([
  'disabled',
  'enabled',
  'alwaysAllow',
  'autoApprove',
  'description',
  'name',
  'version',
  'gallery',
  'envFile',
  'dev',
  'toolFilter',
  '$schema',
]);
