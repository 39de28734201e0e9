import type { Interaction } from '@countersign/core';
import type { Client } from './client-auth.js';
import type { OAuthContext } from './context.js';
import type { Discovery } from './discovery.js';
import type { DpopKey } from './dpop.js';
import type { TokenAnswer } from './token-endpoint.js';

/** One sign-in: where, for what, and with whom. */
export interface SignIn {
  readonly context: OAuthContext;
  readonly found: Discovery;
  readonly scope: string | undefined;
  readonly dpop: DpopKey | undefined;
  readonly interaction: Interaction;
  readonly signal: AbortSignal;
  /** Stores what came of it: before anybody is told that it worked. */
  readonly keep: (signedIn: SignedIn) => Promise<void>;
}

export interface SignedIn {
  readonly client: Client;
  readonly answer: TokenAnswer;
  readonly askedAt: number;
  readonly requestedScope: string | undefined;
}

/** A way to sign in. Throws LOGIN_FAILED, and what the network throws. */
export type Flow = (signIn: SignIn) => Promise<void>;
