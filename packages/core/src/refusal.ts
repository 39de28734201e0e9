import type { AuthProvider, CredentialStatus } from './auth-provider.js';
import { peekBody } from './body-limits.js';
import { parseChallenges } from './challenges.js';
import { CountersignError } from './errors.js';
import type { ExchangeResponse } from './exchange.js';
import { excerpt } from './visible-text.js';

/** A 401 or 403 that stayed, as an error: what the server said, whose credential it was, what to do. Reads at most 4 KB of the body. */
export async function refusal(
  response: ExchangeResponse,
  server: string,
  methods: readonly string[],
  status: CredentialStatus | undefined,
  providers: readonly AuthProvider[] = [],
): Promise<CountersignError> {
  const field = response.headers.get('www-authenticate');
  const challenges = parseChallenges(field);
  const { start, body } = await peekBody(response.body, 4096, 2_000);
  body.destroy();
  const text = start.toString('utf8');
  const meaning = providers.map((provider) => provider.explain?.(response, text)).find((one) => one !== undefined);
  const said =
    meaning?.said ??
    challenges.map(({ parameters }) => parameters['error_description'] ?? parameters['error']).find(Boolean) ??
    sentence(text);
  const remedy = meaning ? { remedy: meaning.remedy } : {};
  const says = said ? ` It says: ${JSON.stringify(excerpt(said, 400))}.` : '';
  const whose =
    methods.length > 0
      ? `the credential of ${methods.join(' and ')}${status?.source ? ` (${status.source})` : ''}`
      : 'a request without a credential';
  const bare = 'Add "headers" or "auth" to the server.';
  if (response.status === 403) {
    return new CountersignError('FORBIDDEN', `403 Forbidden: server ${server} refuses ${whose}.${says}`, {
      server,
      status: 403,
      ...(methods.length > 0 ? remedy : { remedy: bare }),
    });
  }
  const oauth = challenges.some(
    ({ scheme, parameters }) => scheme === 'bearer' && parameters['resource_metadata'] !== undefined,
  );
  return new CountersignError('UNAUTHORIZED', `401 Unauthorized: server ${server} refuses ${whose}.${says}`, {
    server,
    status: 401,
    ...(methods.length > 0
      ? remedy
      : {
          remedy: oauth ? 'The server offers OAuth: add "auth": { "method": "oauth" } to it.' : bare,
        }),
  });
}

/** The message in an error body: JSON's usual fields, or a short plain text. */
export function sentence(text: string): string | undefined {
  try {
    const value = JSON.parse(text) as Record<string, unknown>;
    const error = value['error'] as Record<string, unknown> | string | undefined;
    const found = [
      value['error_description'],
      typeof error === 'object' ? error?.['message'] : error,
      value['message'],
      value['Message'],
    ].find((item) => typeof item === 'string' && item);
    return found as string | undefined;
  } catch {
    const plain = text.trim();
    return plain && !plain.startsWith('<') ? plain.split('\n')[0] : undefined;
  }
}
