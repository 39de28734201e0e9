import type { RunCommand } from '../context.js';
import { signIn } from '../sign-in.js';
import { identity } from '../identity.js';

/** `login SERVER [--no-browser] [--device]`: signs in, within --timeout (300 s), and keeps the credential in the store. */
export const run: RunCommand = async (context, [name = ''], options) => {
  const person = context.loginPerson({ browser: options['browser'] !== false, device: options['device'] === true });
  await signIn(context, name, person);
  const app = await context.app();
  if (context.screen.json) context.screen.document(await identity(app, name));
  else context.screen.print(`Signed in to ${name}.`);
  return 0;
};
