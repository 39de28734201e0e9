import type { Configuration } from './configuration.js';
import { isSensitiveName, type Redactor } from './redactor.js';

/** Hides the variables that headers, secret options and a child's environment name, before any code of a plugin can say them in an error (R14). */
export function concealNamed(
  configuration: Configuration,
  env: Readonly<Record<string, string | undefined>>,
  redactor: Redactor,
): void {
  const look = (value: unknown, secret: boolean): void => {
    if (typeof value === 'string') {
      if (secret) for (const [, name = ''] of value.matchAll(/\$\{(?:env:)?([\w.-]+)/g)) conceal(name);
    } else if (typeof value === 'object' && value !== null)
      for (const [key, item] of Object.entries(value)) look(item, secret || key === 'headers' || isSensitiveName(key));
  };
  const conceal = (name: string): void => {
    const value = Object.hasOwn(env, name) ? env[name] : undefined;
    if (value) redactor.conceal(value);
  };
  for (const { auth, entry } of configuration.servers.values()) {
    for (const { options } of auth) look(options, false);
    look(entry.env, true);
  }
}
