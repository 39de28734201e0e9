/** Splits a scope string (RFC 6749 section 3.3). */
export function scopesOf(scope: string | undefined): string[] {
  return scope === undefined ? [] : scope.split(' ').filter(Boolean);
}

/** The union, in order of appearance; `undefined` when nothing is in it. */
export function unionOfScopes(...scopes: readonly (string | undefined)[]): string | undefined {
  const union = [...new Set(scopes.flatMap(scopesOf))];
  return union.length > 0 ? union.join(' ') : undefined;
}
