import type { RunCommand } from '../context.js';

/** `logout SERVER`: forgets the sign-in. */
export const run: RunCommand = async (context, [name = '']) => {
  const app = await context.app();
  await app.logout(name);
  const profile = app.servers.find((server) => server.name === name)?.profile;
  if (context.screen.json) context.screen.document({ server: name, profile, signedOut: true });
  else context.screen.print(`Signed out of ${name}.`);
  return 0;
};
