import type { TestFunction } from './expectations.js';
import { AUTHORIZING } from './provider-authorizing.js';
import { definitionOf, withBench, type AuthProviderSubject } from './provider-bench.js';
import { DISCRETION } from './provider-discretion.js';
import { RENEWAL } from './provider-renewal.js';
import { UPKEEP } from './provider-upkeep.js';
import { setsWhatItSays, variablesAgree } from './provider-variables.js';

const TIMEOUT = 15_000; // milliseconds for a test

/**
 * Tests that an auth provider keeps the contract of docs/write-a-provider.md, through the real exchange and over real sockets on loopback.
 * Registers one test a behaviour with the caller's `test` (node:test, Jest, Vitest); a failing one says what to mend.
 */
export function testAuthProvider(test: TestFunction, subject: AuthProviderSubject): void {
  const definition = definitionOf(subject.plugin);
  const computes = (definition.variables?.length ?? 0) + (definition.signatures?.length ?? 0) > 0;
  const behaviours = {
    ...AUTHORIZING,
    ...DISCRETION,
    ...RENEWAL,
    ...UPKEEP,
    ...(computes ? { 'computes variables that agree within an attempt': variablesAgree } : {}),
    ...('sets' in definition ? { 'sets no other headers than it announces': setsWhatItSays } : {}),
  };
  for (const [name, behaviour] of Object.entries(behaviours)) test(name, () => withBench(subject, behaviour), TIMEOUT);
}
