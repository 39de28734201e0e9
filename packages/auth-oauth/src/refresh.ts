import { CountersignError, isCountersignError, type AuthServices, type TokenStore } from '@countersign/core';
import { isUsable, parseCredential, withTokens, type Credential, type Keys, type Usable } from './credential.js';
import { claim } from './intent.js';
import { TokenRefusal, tokenError, type TokenAnswer } from './token-endpoint.js';

export interface RefreshSettings {
  readonly tokens: TokenStore;
  readonly keys: Keys;
  readonly server: URL;
  readonly services: Pick<AuthServices, 'clock' | 'conceal' | 'log'>;
  /** Spends the record's refresh token, once. Throws TokenRefusal. */
  spend(record: Renewable): Promise<TokenAnswer>;
  /** The LOGIN_REQUIRED error for a reason. */
  loginRequired(reason: string): CountersignError;
}

export type Renewable = Credential & { readonly refreshToken: string };

/** A renewed credential; `saved` is false when the store could not take it, and it lives in memory only. */
export interface Renewed {
  readonly record: Usable;
  readonly saved: boolean;
}

const RETRIES = [300, 1000]; // milliseconds between tries of an endpoint that answers 5xx

const ABANDONED =
  'a refresh was broken off after it had begun, so the refresh token may be spent; it is not used a second time';

/**
 * Renews the stored credential (R9): under the store's lock, after a second look, with the intent written before the
 * token is spent, and the new tokens written before the lock is released. Throws LOGIN_REQUIRED when a person is
 * needed, which the record then says too; any other error leaves the refresh token to be used again.
 */
export async function refreshStored(
  settings: RefreshSettings,
  refused: string | undefined,
  signal: AbortSignal,
): Promise<Renewed> {
  const { tokens, keys, services } = settings;
  let outcome: Usable | CountersignError | undefined;
  let spent: { before: Renewable; after: Usable } | undefined;

  // Those who wait for the lock look at the record meanwhile: most need no turn, since the first has renewed it for all.
  const overtaken = new AbortController();
  let renewedByOther: Usable | undefined;
  const stopWatching = watch(settings, refused, (record) => {
    renewedByOther = record;
    overtaken.abort();
  });

  const change = async (text: string | undefined): Promise<string | undefined> => {
    stopWatching();
    const record = read(settings, text);
    const now = services.clock.now();
    if (isUsable(record, now, refused)) return settle(record, text);
    const reason = unrenewable(record);
    if (reason !== undefined) return settle(settings.loginRequired(reason), text);
    const before = record as Renewable;
    const id = await claim(tokens, keys, before, now, signal);
    if (id === 'moved') throw new CountersignError('LOCK_LOST', 'Another process renewed the credential meanwhile.');
    if (id === 'taken') return settle(settings.loginRequired(ABANDONED), withReason(before, ABANDONED));
    try {
      const answer = await spend(settings, before);
      spent = { before, after: { ...withTokens(before, answer, now), settled: id } };
      return settle(spent.after, JSON.stringify(spent.after));
    } catch (error) {
      if (!(error instanceof TokenRefusal)) throw error;
      const needed = personNeeded(error, before);
      const settled = error.fate === 'cut' ? before : { ...before, settled: id };
      if (needed === undefined) return settle(tokenError(error), JSON.stringify(settled));
      return settle(settings.loginRequired(needed), withReason(settled, needed));
    }
  };
  const settle = (result: Usable | CountersignError, text: string | undefined): string | undefined => {
    outcome = result;
    return text;
  };

  try {
    await tokens.update(keys.credential, change, AbortSignal.any([signal, overtaken.signal]));
  } catch (error) {
    if (renewedByOther && !spent) return { record: renewedByOther, saved: true };
    if (spent && isCountersignError(error, 'LOCK_LOST')) return reconcile(settings, spent, signal);
    if (spent) {
      services.log.warn(
        `The renewed credential could not be stored, and is kept in memory: ${(error as Error).message}`,
      );
      return { record: spent.after, saved: false };
    }
    if (isCountersignError(error, 'LOCK_LOST')) return adopt(settings, refused, error);
    throw error;
  } finally {
    stopWatching();
  }
  if (outcome instanceof Error) throw outcome;
  return { record: outcome as Usable, saved: true };
}

const WATCH = 150; // milliseconds between looks

function watch(settings: RefreshSettings, refused: string | undefined, found: (record: Usable) => void): () => void {
  const { tokens, keys, services } = settings;
  const timer = setInterval(() => {
    tokens.get(keys.credential).then(
      (text) => {
        const record = read(settings, text);
        if (watching && isUsable(record, services.clock.now(), refused)) found(record);
      },
      () => undefined, // whoever has the lock is told
    );
  }, WATCH);
  timer.unref();
  let watching = true;
  return () => {
    watching = false;
    clearInterval(timer);
  };
}

async function spend(settings: RefreshSettings, record: Renewable): Promise<TokenAnswer> {
  for (let tries = 0; ; tries++) {
    try {
      return await settings.spend(record);
    } catch (error) {
      const pause = RETRIES[tries];
      const again = error instanceof TokenRefusal && error.fate === 'server' && error.details.retryAfter === undefined;
      if (!again || pause === undefined) throw error;
      await settings.services.clock.sleep(pause);
    }
  }
}

/** The lock was lost while the token was being spent: ours are the only tokens that came of it, so they are stored unless the record moved on. */
async function reconcile(
  settings: RefreshSettings,
  { before, after }: { before: Renewable; after: Usable },
  signal: AbortSignal,
): Promise<Renewed> {
  let kept: Credential | undefined = after;
  await settings.tokens.update(
    settings.keys.credential,
    async (text) => {
      const record = read(settings, text);
      if (record?.refreshToken === before.refreshToken && record.settled === before.settled)
        return JSON.stringify(after);
      kept = record;
      return text;
    },
    signal,
  );
  if (isUsable(kept, settings.services.clock.now())) return { record: kept, saved: true };
  throw settings.loginRequired(kept?.loginRequired ?? 'the sign-in was forgotten meanwhile');
}

/** Another process holds the lock or held it: what it stored counts. */
async function adopt(settings: RefreshSettings, refused: string | undefined, cause: Error): Promise<Renewed> {
  const record = read(settings, await settings.tokens.get(settings.keys.credential));
  if (isUsable(record, settings.services.clock.now(), refused)) return { record, saved: true };
  if (record?.loginRequired !== undefined) throw settings.loginRequired(record.loginRequired);
  throw cause;
}

/** Why a record can't be renewed; `undefined` when it can. */
export function unrenewable(record: Credential | undefined): string | undefined {
  if (!record || (!record.accessToken && !record.refreshToken))
    return record?.loginRequired ?? 'nobody has signed in yet';
  if (record.loginRequired !== undefined) return record.loginRequired;
  if (!record.refreshToken) return 'the access token has ended, and the server gave no refresh token';
  return undefined;
}

function personNeeded(refusal: TokenRefusal, record: Renewable): string | undefined {
  if (refusal.fate === 'cut') return ABANDONED;
  if (refusal.fate !== 'refused') return undefined;
  if (refusal.error === 'invalid_grant')
    return 'the authorization server no longer accepts the refresh token (invalid_grant)';
  if (refusal.error === 'invalid_client' && record.client?.dynamic)
    return 'the authorization server no longer knows this client (invalid_client)';
  return undefined;
}

const withReason = (record: Credential, reason: string): string => JSON.stringify({ ...record, loginRequired: reason });

const read = ({ server, services }: RefreshSettings, text: string | undefined): Credential | undefined =>
  parseCredential(text, server, services.conceal);
