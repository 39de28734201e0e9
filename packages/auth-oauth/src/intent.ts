import type { TokenStore } from '@countersign/core';
import { fingerprint, type Credential, type Keys } from './credential.js';

/** Written before a refresh token is spent: whoever finds one without its outcome knows that the token may be gone. */
interface Intent {
  readonly id: string;
  /** SHA-256 of the refresh token. */
  readonly token: string;
  readonly at: string;
}

/**
 * Claims the one right to spend a record's refresh token, and answers the claim's id; or `taken`: somebody spends or
 * spent it and the outcome is not stored; or `moved`: the stored record is another one. Whatever became of the record's lock meanwhile (a process that was stopped for long
 * finds itself late), only one claim for a token is ever granted while its outcome is not stored.
 */
export async function claim(
  tokens: TokenStore,
  keys: Keys,
  record: Credential & { readonly refreshToken: string },
  now: number,
  signal?: AbortSignal,
): Promise<string> {
  const mine: Intent = {
    id: crypto.randomUUID(),
    token: fingerprint(record.refreshToken),
    at: new Date(now).toISOString(),
  };
  let answer = mine.id;
  await tokens.update(
    keys.intent,
    async (text) => {
      const found = parseIntent(text);
      if (!(await unmoved(tokens, keys, record))) answer = 'moved';
      else if (found && found.token === mine.token && found.id !== record.settled) answer = 'taken';
      else return JSON.stringify(mine);
      return text;
    },
    signal,
  );
  return answer;
}

/** Compares with what is stored now: after a long stop the record that the lock gave us is old. */
async function unmoved(tokens: TokenStore, keys: Keys, record: Credential): Promise<boolean> {
  const text = await tokens.get(keys.credential);
  if (text === undefined) return false;
  const { refreshToken, settled } = JSON.parse(text) as Credential;
  return refreshToken === record.refreshToken && settled === record.settled;
}

function parseIntent(text: string | undefined): Intent | undefined {
  if (text === undefined) return undefined;
  try {
    const { id, token, at } = JSON.parse(text) as Partial<Intent>;
    return typeof id === 'string' && typeof token === 'string' ? { id, token, at: String(at) } : undefined;
  } catch {
    return undefined;
  }
}
