import type { $ZodType } from 'zod/v4/core';
import { CountersignError } from './errors.js';
import { fieldMetadata } from './schema.js';
import { Template } from './template.js';

/** Where `${NAME}` in a configuration's own strings is looked up: the environment and .env, nothing computed. */
export interface Expansion {
  readonly server: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Expands every string of a provider's options, but for fields that the provider renders itself (`template: true`). Throws UNRESOLVED_VARIABLE. */
export function expandOptions(
  options: Readonly<Record<string, unknown>>,
  schema: $ZodType,
  scope: Expansion,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(options).map(([field, value]) => [
      field,
      fieldMetadata(schema, field).template ? value : expand(value, field, scope),
    ]),
  );
}

/** Expands the strings of a value, at any depth. `field` is for the error. */
export function expand(value: unknown, field: string, scope: Expansion): unknown {
  if (typeof value === 'string') return value.includes('${') ? expandText(value, field, scope) : value;
  if (Array.isArray(value)) return value.map((item, index) => expand(item, `${field}.${index}`, scope));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, expand(item, `${field}.${key}`, scope)]));
}

function expandText(text: string, field: string, { server, env }: Expansion): string {
  const { parts } = new Template(text, `Field ${field} of server ${server}`);
  return parts
    .map((part) => {
      if (typeof part === 'string') return part;
      const value =
        (part.kind !== 'request' && Object.hasOwn(env, part.name) ? env[part.name] : undefined) || part.fallback;
      if (value === undefined) {
        const why =
          part.kind === 'request'
            ? 'a request, and there is none here'
            : `${part.name}, which is ${env[part.name] === '' ? 'empty' : 'not set'}`;
        throw new CountersignError('UNRESOLVED_VARIABLE', `Field ${field} of server ${server} needs ${why}.`, {
          server,
        });
      }
      return value;
    })
    .join('');
}
