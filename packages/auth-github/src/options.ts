import * as z from 'zod/mini';

function described<T extends z.ZodMiniType>(schema: T, description: string, secret?: true): z.ZodMiniOptional<T> {
  z.globalRegistry.add(schema, { description, ...(secret ? { secret } : {}) });
  return z.optional(schema);
}
const text = () => z.string().check(z.minLength(1));
const list = () => z.union([z.string(), z.array(z.string())]);

/** What `"auth": { "method": "github", … }` may say. */
export const githubOptions = z.strictObject({
  source: described(
    z.enum(['app', 'token', 'gh', 'device']),
    'The one source to use. By default the first that has a credential: app, token, gh, device.',
  ),
  appId: described(z.union([text(), z.number()]), "The GitHub App's id, or its client id."),
  privateKey: described(
    text(),
    "The App's private key: PEM (PKCS#1 or PKCS#8), also in base64, in quotes, with \\n or spaces for line breaks.",
    true,
  ),
  privateKeyFile: described(text(), "File of the App's private key."),
  installationId: described(
    z.union([text(), z.number()]),
    'The installation. By default found by `owner` or `repository`; an App with one installation takes that.',
  ),
  owner: described(text(), 'The organisation or user where the App is installed.'),
  repository: described(text(), 'owner/name of a repository where the App is installed.'),
  permissions: described(
    z.record(z.string(), z.string()),
    'Narrows the installation token: { "contents": "read" }. By default all that the installation has.',
  ),
  repositories: described(list(), 'Narrows the installation token to these repositories (names without owner).'),
  token: described(
    text(),
    'A token for this server, instead of GH_TOKEN, GITHUB_TOKEN or (on GitHub Enterprise Server) GH_ENTERPRISE_TOKEN.',
    true,
  ),
  clientId: described(
    text(),
    'Client id of the App or OAuth app that `countersign login` signs in with (device flow).',
  ),
  scopes: described(list(), 'Scopes that the sign-in asks for; an App has none.'),
  apiUrl: described(
    text(),
    'The REST API. By default https://api.github.com, https://api.<subdomain>.ghe.com or https://<host>/api/v3.',
  ),
  toolsets: described(list(), "Toolsets of GitHub's MCP server, sent as X-MCP-Toolsets."),
  readOnly: described(z.boolean(), "Only reading tools of GitHub's MCP server: sends X-MCP-Readonly: true."),
});

export type GitHubOptions = z.infer<typeof githubOptions>;

/** A list that was given as one or as a text with commas or spaces. */
export function listOf(value: string | readonly string[] | undefined): string[] {
  return typeof value === 'string' ? value.split(/[\s,]+/).filter(Boolean) : [...(value ?? [])];
}
