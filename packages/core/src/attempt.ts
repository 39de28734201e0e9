import { randomUUID } from 'node:crypto';
import type { Attempt } from './auth-provider.js';
import type { Clock } from './clock.js';
import { CountersignError } from './errors.js';
import type { ChainMember } from './exchange.js';
import { HeaderFields } from './header-fields.js';
import { isPublicName, isSensitiveName } from './redactor.js';

/** One clock reading, one nonce and one memory for everything within an attempt. */
export class RequestAttempt implements Attempt {
  readonly time: Date;
  #nonce: string | undefined;
  #memo: Map<object, unknown> | undefined;
  constructor(
    readonly number: number,
    clock: Clock,
  ) {
    this.time = new Date(clock.now());
  }
  get nonce(): string {
    return (this.#nonce ??= randomUUID());
  }
  memo<T>(key: object, make: () => T): T {
    const memo = (this.#memo ??= new Map());
    if (!memo.has(key)) memo.set(key, make());
    return memo.get(key) as T;
  }
}

/** Header fields that remember which member set what, so that two don't overwrite each other unseen. */
export class ClaimedHeaders extends HeaderFields {
  readonly claims = new Map<string, ChainMember>();
  claimant: ChainMember | undefined;

  override set(name: string, value: string): void {
    super.set(name, value);
    if (!this.claimant) return;
    const key = name.toLowerCase();
    const before = this.claims.get(key);
    if (
      before &&
      before !== this.claimant &&
      this.claimant.stage !== 'signature' &&
      this.claimant.stage !== 'signed-headers'
    ) {
      throw new CountersignError(
        'HEADER_CONFLICT',
        `Both ${before.type} and ${this.claimant.type} set the header ${key}.`,
      );
    }
    this.claims.set(key, this.claimant);
  }
}

/** Credentials go by their header's name, and by who set them. */
export function holdsSecret(name: string, owner: ChainMember | undefined): boolean {
  return (
    isSensitiveName(name) || ((owner?.stage === 'credential' || owner?.stage === 'signature') && !isPublicName(name))
  );
}
