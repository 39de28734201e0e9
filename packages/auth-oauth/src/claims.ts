const SHOWN = [
  'iss',
  'sub',
  'aud',
  'exp',
  'iat',
  'client_id',
  'azp',
  'scope',
  'scp',
  'email',
  'name',
  'preferred_username',
  'upn',
  'tid',
  'org_id',
];

/** The claims of a JWT that say whose it is and for what; `undefined` if it isn't one. Nothing is verified: the token came from its issuer's endpoint. */
export function jwtClaims(token: string | undefined): Record<string, unknown> | undefined {
  const payload = token?.split('.')[1];
  if (payload === undefined || token?.split('.').length !== 3) return undefined;
  try {
    const all = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as Record<string, unknown>;
    const shown = SHOWN.filter((name) => all[name] !== undefined).map((name) => [name, all[name]] as const);
    return shown.length > 0 ? Object.fromEntries(shown) : undefined;
  } catch {
    return undefined;
  }
}

/** The claims of an ID token that was issued by this issuer to this client. */
export function idTokenClaims(
  token: string | undefined,
  issuer: string,
  clientId: string,
): Record<string, unknown> | undefined {
  const claims = jwtClaims(token);
  if (!claims || claims['iss'] !== issuer || ![claims['aud']].flat().includes(clientId)) return undefined;
  return claims;
}
