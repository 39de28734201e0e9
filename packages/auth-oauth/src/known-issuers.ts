/** Identity providers that need more than their metadata says. The host of an issuer is matched; `*.` stands for any labels. */
export interface KnownIssuer {
  readonly issuer: string;
  /** Domains besides the issuer's own site in which its endpoints are known to be. */
  readonly endpointSites?: readonly string[];
  /** It does PKCE with S256 though its metadata does not list it. */
  readonly pkce?: true;
}

export const KNOWN_ISSUERS: readonly KnownIssuer[] = [
  { issuer: 'accounts.google.com', endpointSites: ['googleapis.com', 'google.com'] },
  { issuer: 'cognito-idp.*.amazonaws.com', endpointSites: ['amazoncognito.com'], pkce: true },
  { issuer: 'login.microsoftonline.com', pkce: true },
  { issuer: 'login.microsoftonline.us', pkce: true },
  { issuer: 'sts.windows.net', endpointSites: ['microsoftonline.com'], pkce: true },
  { issuer: '*.ciamlogin.com', pkce: true },
  { issuer: '*.b2clogin.com', pkce: true },
];

/** What is known of the issuer. */
export function knownIssuer(issuer: string): KnownIssuer | undefined {
  const host = URL.canParse(issuer) ? new URL(issuer).hostname : '';
  return KNOWN_ISSUERS.find((known) => matches(host, known.issuer));
}

function matches(host: string, pattern: string): boolean {
  const labels = host.split('.');
  const wanted = pattern.split('.');
  return labels.length === wanted.length && wanted.every((label, at) => label === '*' || label === labels[at]);
}
