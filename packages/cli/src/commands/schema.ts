import { configurationSchema } from '@countersign/core';
import type { RunCommand } from '../context.js';

/** `schema`: the JSON Schema of a configuration with the installed providers, for editors. */
export const run: RunCommand = async (context) => {
  context.screen.document(configurationSchema((await context.app(true)).installed()));
  return 0;
};
