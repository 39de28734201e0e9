import { CountersignError, findCountersignError, type Interaction } from '@countersign/core';
import type { Context } from './context.js';

/** Seconds that a person has for a sign-in, unless --timeout says otherwise (R4). */
const PATIENCE = 300;

/** Signs in to a server. Throws LOGIN_FAILED when nobody finished it in time. */
export async function signIn(context: Context, name: string, interaction: Interaction): Promise<void> {
  const seconds = context.options.timeout ?? PATIENCE;
  const late = AbortSignal.timeout(seconds * 1000);
  const app = await context.app();
  try {
    await app.login(name, { interaction, signal: AbortSignal.any([context.signal, late]) });
  } catch (error) {
    if (!late.aborted || context.signal.aborted) throw error;
    throw new CountersignError('LOGIN_FAILED', `Nobody finished the sign-in to ${name} within ${seconds} s.`, {
      server: name,
      cause: error,
    });
  }
}

let turn: Promise<unknown> = Promise.resolve();

/**
 * Runs the work, and when it needs a person and there is one, signs in and runs it once more.
 * Sign-ins take turns: a person has one browser in front, and one keyboard.
 */
export async function withSignIn<T>(context: Context, name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { person } = context;
    if (!person || findCountersignError(error)?.code !== 'LOGIN_REQUIRED') throw error;
    const mine = turn.then(() => signIn(context, name, person));
    turn = mine.catch(() => undefined);
    await mine;
    return work();
  }
}
