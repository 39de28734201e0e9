/** One challenge of a WWW-Authenticate field: `Bearer realm="x", scope="a b"` or `Negotiate dG9rZW4=`. */
export interface Challenge {
  /** In lower case: "bearer", "dpop". */
  readonly scheme: string;
  /** Names in lower case; of a repeated one the first counts. No prototype. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly token68?: string;
}

const TOKEN = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y;
const TOKEN68 = /[A-Za-z0-9\-._~+/]+=*(?=[ \t]*(?:,|$))/y;
const QUOTED = /"((?:[^"\\]|\\.)*)"/y;
const SPACE = /[ \t]*/y;
const SEPARATOR = /[ \t]*(?:,[ \t]*)+/y;

/**
 * Parses WWW-Authenticate (RFC 9110 11.6.1), several fields joined by a comma included. Never throws, linear in time:
 * what does not fit the grammar is skipped up to the next comma.
 */
export function parseChallenges(field: string | undefined): Challenge[] {
  const challenges: Challenge[] = [];
  if (!field) return challenges;
  const text = field.length > 65_536 ? field.slice(0, 65_536) : field;
  let at = 0;
  let current: { scheme: string; parameters: Record<string, string>; token68?: string } | undefined;

  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match) at = pattern.lastIndex;
    return match ?? undefined;
  };
  const skipToComma = (): void => {
    const comma = text.indexOf(',', at);
    at = comma < 0 ? text.length : comma;
  };

  while (at < text.length) {
    if (take(SEPARATOR)?.[0]) continue;
    take(SPACE);
    const word = take(TOKEN)?.[0];
    if (word === undefined) {
      skipToComma();
      continue;
    }
    const afterWord = at;
    take(SPACE);
    if (text[at] === '=' && current) {
      at++;
      take(SPACE);
      const quoted = text[at] === '"' ? take(QUOTED)?.[1]?.replace(/\\(.)/g, '$1') : take(TOKEN)?.[0];
      const name = word.toLowerCase();
      if (quoted === undefined) skipToComma();
      else current.parameters[name] ??= quoted;
      continue;
    }
    if (text[at] === '=') {
      skipToComma();
      continue;
    }
    current = { scheme: word.toLowerCase(), parameters: Object.create(null) as Record<string, string> };
    challenges.push(current);
    if (at > afterWord) {
      const before = at;
      const token68 = take(TOKEN68)?.[0];
      // `Bearer realm="x"`: the word before `=` also looks like a token68 followed by padding.
      if (token68 !== undefined) current.token68 = token68;
      else at = before;
    }
  }
  return challenges;
}
