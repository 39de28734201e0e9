/** What a helper program gives: headers, and until when. */
export interface HelperCredential {
  readonly headers: ReadonlyMap<string, string>;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number | undefined;
}

/**
 * Reads a helper's output in any of the forms that people have: a JSON object of headers (Claude Code's `headersHelper`), kubectl's ExecCredential
 * (client.authentication.k8s.io), git credential attributes (git-credential(1): username and password, or authtype and credential), or a token alone.
 * Answers a sentence's end where the output is none of them: "gave nothing".
 */
export function readOutput(output: string): HelperCredential | string {
  const text = output.trim();
  if (!text) return 'gave nothing';
  if (text.startsWith('{')) return readJson(text);
  if (/^[a-z_[\]]+=.*$/m.test(text)) return readAttributes(text);
  if (/\s/.test(text)) return 'gave neither JSON, nor git credential attributes, nor a token';
  return bearer(text, undefined);
}

function readJson(text: string): HelperCredential | string {
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(text) as Record<string, unknown>;
  } catch {
    return 'gave JSON that does not parse';
  }
  if (value['kind'] === 'ExecCredential') {
    const status = (value['status'] ?? {}) as Record<string, unknown>;
    const expiry = status['expirationTimestamp'];
    const expiresAt = expiry === undefined ? undefined : typeof expiry === 'string' ? Date.parse(expiry) : NaN;
    if (Number.isNaN(expiresAt)) return 'gave an expirationTimestamp that is not a date';
    return typeof status['token'] === 'string' && status['token']
      ? bearer(status['token'], expiresAt)
      : 'gave an ExecCredential without a token';
  }
  const headers = new Map<string, string>();
  for (const [name, header] of Object.entries(value)) {
    if (typeof header !== 'string') return 'gave headers that are not all text';
    headers.set(name, header);
  }
  return headers.size > 0 ? { headers, expiresAt: undefined } : 'gave no header';
}

function readAttributes(text: string): HelperCredential | string {
  const attributes = new Map(
    text
      .split(/\r?\n/)
      .map((line): [string, string] => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
  const expiry = attributes.get('password_expiry_utc');
  const expiresAt = expiry === undefined ? undefined : Number(expiry) * 1000;
  if (Number.isNaN(expiresAt)) return 'gave a password_expiry_utc that is not a number';
  const [scheme, credential, password] = [
    attributes.get('authtype'),
    attributes.get('credential'),
    attributes.get('password'),
  ];
  const value =
    scheme && credential
      ? `${scheme} ${credential}`
      : password
        ? `Basic ${Buffer.from(`${attributes.get('username') ?? ''}:${password}`).toString('base64')}`
        : undefined;
  return value
    ? { headers: new Map([['authorization', value]]), expiresAt }
    : 'gave neither a password nor a credential';
}

const bearer = (token: string, expiresAt: number | undefined): HelperCredential => ({
  headers: new Map([['authorization', `Bearer ${token}`]]),
  expiresAt,
});
