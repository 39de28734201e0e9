import { createHash } from 'node:crypto';

/** What a provider sees: core's view of the store, scoped to one server, provider and profile. */
export interface TokenStore {
  get(key: string): Promise<string | undefined>;
  /**
   * Replaces the value by what `change` answers (`undefined` deletes it), and resolves to it.
   * Holds the key's lock, across processes, while `change` runs: a refresh token is spent once. Throws LOCK_LOST rather than write late.
   */
  update(
    key: string,
    change: (current: string | undefined) => Promise<string | undefined>,
    signal?: AbortSignal,
  ): Promise<string | undefined>;
  delete(key: string): Promise<void>;
}

/** What a plugin implements and DI replaces: memory and file in core; a keychain, Redis … elsewhere. Keys are `[0-9a-z._-]+`, at most 200 characters. */
export interface SecretStore extends TokenStore {
  /** Every key that begins with `prefix`, in no order. */
  keys(prefix: string): AsyncIterable<string>;
  /** For `countersign providers` and status: "file ~/.local/share/countersign". */
  readonly description?: string;
  dispose?(): void | Promise<void>;
}

/** A short, stable name for a list of parts that must not be mixed up: hex of SHA-256 over their JSON. */
export function hashKey(...parts: readonly (string | undefined)[]): string {
  return createHash('sha256')
    .update(JSON.stringify(parts.map((part) => part ?? null)))
    .digest('hex')
    .slice(0, 40);
}

/** The part of a store that belongs to one server URL, provider and profile (R7). A provider's key adds the configured client, issuer and resource. */
export function scopeStore(store: SecretStore, scope: { url: string; provider: string; profile: string }): TokenStore {
  const prefix = `${hashKey(scope.url, scope.provider, scope.profile)}.`;
  return {
    get: (key) => store.get(prefix + key),
    update: (key, change, signal) => store.update(prefix + key, change, signal),
    delete: (key) => store.delete(prefix + key),
  };
}
