import { abortable, CountersignError, isCountersignError } from '@countersign/core';
import {
  isAlive,
  isUsable,
  without,
  parseCredential,
  type Credential,
  type KeptChallenge,
  type Usable,
} from './credential.js';
import { refreshStored, unrenewable, type RefreshSettings } from './refresh.js';

/** The credential of one server, in memory and in the store. */
export interface StoredCredential {
  /** The last known, without a look at the store. */
  readonly current: Credential | undefined;
  /** A token that can be sent and is not `refused`; renewed first where it must be. Throws LOGIN_REQUIRED. */
  usable(refused?: string, signal?: AbortSignal): Promise<Usable>;
  /** Reads the store. */
  load(): Promise<Credential | undefined>;
  /** Stores a sign-in. When the store fails it is used from memory all the same, and the error thrown. */
  save(record: Usable): Promise<void>;
  /** Notes what the server wants, and that a person is needed if there is a reason, unless `used` is not the current token any more. */
  note(used: string | undefined, challenge: KeptChallenge, reason?: string): Promise<Credential | undefined>;
  /** Drops the access token where there is a refresh token. */
  dropAccessToken(): Promise<void>;
  /** Forgets everything, after a renewal under way, and answers what it was. */
  forget(): Promise<Credential | undefined>;
  /** Waits for a renewal under way: a refresh token is being spent. */
  settled(): Promise<void>;
}

/** Milliseconds that a renewal may take for those who wait for it. */
export const RENEWAL_DEADLINE = 55_000;
const LONGEST_PAUSE = 60_000;

export function storedCredential(settings: RefreshSettings): StoredCredential {
  const { tokens, keys, server, services } = settings;
  const { clock } = services;
  let memory: Credential | undefined;
  let unsaved = false;
  let pending: Promise<Usable> | undefined;
  let failures = 0;
  let failure: { until: number; error: Error } | undefined;

  const parse = (text: string | undefined): Credential | undefined => parseCredential(text, server, services.conceal);

  async function load(): Promise<Credential | undefined> {
    if (!unsaved) memory = parse(await tokens.get(keys.credential));
    return memory;
  }

  async function renew(refused: string | undefined): Promise<Usable> {
    if (unsaved) await write(memory as Usable);
    const stored = await load();
    if (isUsable(stored, clock.now(), refused)) return stored;
    try {
      const reason = unrenewable(stored);
      if (reason !== undefined) throw settings.loginRequired(reason);
      await backOff();
      const { record, saved } = await refreshStored(settings, refused, AbortSignal.timeout(RENEWAL_DEADLINE));
      memory = record;
      unsaved = !saved;
      failures = 0;
      failure = undefined;
      return record;
    } catch (error) {
      const known = deadline(error);
      if (!isCountersignError(known, 'LOGIN_REQUIRED')) fail(known);
      if (isAlive(stored, clock.now(), refused)) return stored; // in the last moments of its life, but alive
      throw known;
    }
  }

  function deadline(error: unknown): Error {
    if ((error as Error).name !== 'TimeoutError') return error as Error;
    return new CountersignError('TIMEOUT', 'Another process has been renewing the credential for 55 seconds.', {
      cause: error,
    });
  }

  function fail(error: Error): void {
    const retryAfter = isCountersignError(error) ? error.retryAfter : undefined;
    const pause = Math.min(LONGEST_PAUSE, retryAfter === undefined ? 500 * 2 ** failures++ : retryAfter * 1000);
    failure = { until: clock.now() + pause, error };
  }

  /** After a failure the endpoint is left alone for a while: a short one is waited for, in a long one the failure is repeated. */
  async function backOff(): Promise<void> {
    if (!failure) return;
    const left = failure.until - clock.now();
    if (left > 5000) throw failure.error;
    if (left > 0) await clock.sleep(left);
  }

  async function usable(refused?: string, signal?: AbortSignal): Promise<Usable> {
    signal?.throwIfAborted();
    if (isUsable(memory, clock.now(), refused)) return memory;
    const joined = pending !== undefined;
    pending ??= renew(refused).finally(() => (pending = undefined));
    const record = await abortable(pending, signal);
    // Joined a renewal that knew nothing of the refusal: ask again, with it.
    return joined && record.accessToken === refused ? usable(refused, signal) : record;
  }

  async function write(record: Usable): Promise<void> {
    await tokens.update(keys.credential, async () => JSON.stringify(record), AbortSignal.timeout(RENEWAL_DEADLINE));
    unsaved = false;
  }

  return {
    get current() {
      return memory;
    },
    usable,
    load,
    async save(record) {
      memory = record;
      failure = undefined;
      failures = 0;
      unsaved = true;
      await write(record);
    },
    async note(used, challenge, reason) {
      await tokens.update(keys.credential, async (text) => {
        const record = parse(text);
        if (record?.accessToken !== used) {
          memory = record;
          return text;
        }
        const base: Credential = record ?? { version: 1, server: server.href };
        memory = { ...base, challenge, ...(reason === undefined ? {} : { loginRequired: reason }) };
        return JSON.stringify(memory);
      });
      return memory;
    },
    async dropAccessToken() {
      if (unsaved) return;
      await tokens.update(keys.credential, async (text) => {
        const record = parse(text);
        if (!record?.refreshToken || record.loginRequired !== undefined) return text;
        return JSON.stringify(without(record, 'accessToken', 'expiresAt'));
      });
      await load();
    },
    async forget() {
      let before: Credential | undefined;
      await pending?.catch(() => undefined);
      await tokens.update(keys.credential, async (text) => {
        before = parse(text);
        return undefined;
      });
      await tokens.delete(keys.intent);
      memory = undefined;
      unsaved = false;
      return before;
    },
    async settled() {
      await pending?.catch(() => undefined);
      if (unsaved && memory) await write(memory as Usable).catch(() => undefined);
    },
  };
}
