import { defineAuthProvider } from '@countersign/core';
import { commandProvider } from './command.js';
import { commandOptions } from './options.js';

export { commandProvider } from './command.js';
export { commandOptions, type CommandOptions } from './options.js';
export { readOutput, type HelperCredential } from './output.js';

/** The auth method `command`. */
export default defineAuthProvider('@countersign/auth-command', {
  type: 'command',
  options: commandOptions,
  create: commandProvider,
});
