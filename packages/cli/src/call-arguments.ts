import { CountersignError } from '@countersign/core';

/** The part of a tool's input schema that says which type a `key=value` means. */
export interface ArgumentSchema {
  readonly properties?: Readonly<Record<string, unknown>>;
}

export interface CallArgumentsOptions {
  /** Reads the standard input to its end, for `-`. */
  readonly readInput: () => Promise<string>;
  /** The tool's input schema. Asked for only when a value could be something else than text. */
  readonly schema: () => Promise<ArgumentSchema | undefined>;
}

/**
 * A tool's arguments from the command line: `key=value` words, `key:=JSON` words, one JSON object, or `-` for a JSON object on the standard input.
 * A `key=value` follows the tool's schema; without one a value that is a number, a boolean, null, an object or a list in JSON is taken as that.
 * Throws USAGE.
 */
export async function callArguments(
  words: readonly string[],
  options: CallArgumentsOptions,
): Promise<Record<string, unknown>> {
  const [only, ...more] = words;
  if (only === undefined) return {};
  if (only === '-' && more.length === 0) return jsonObject(await options.readInput(), 'The standard input');
  if (/^\s*[{[]/.test(only)) return jsonObject(words.join(' '), 'The argument');

  const entries: [string, unknown][] = [];
  for (const word of words) {
    const match = /^([^=]+?)(:?)=([\s\S]*)$/.exec(word);
    const [, key, explicit, text] = match ?? [];
    if (key === undefined || text === undefined) {
      throw new CountersignError('USAGE', `${JSON.stringify(word)} is neither key=value nor a JSON object.`, {
        remedy: `Write arguments as key=value words, as one JSON object such as '{"key": "value"}', or as - to read the object from the standard input.`,
      });
    }
    entries.push([key, explicit === ':' ? json(text, `The value of ${key}`) : await typed(key, text, options)]);
  }
  return Object.fromEntries(entries);
}

async function typed(key: string, text: string, options: CallArgumentsOptions): Promise<unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return text;
  }
  const schema = (await options.schema())?.properties?.[key];
  const types = typesOf(schema);
  if (types.length === 0) return typeof parsed === 'string' ? text : parsed;
  return types.includes(typeOf(parsed)) || (types.includes('number') && typeOf(parsed) === 'integer') ? parsed : text;
}

function typesOf(schema: unknown): readonly string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  const { type, anyOf, oneOf } = schema as { type?: unknown; anyOf?: unknown; oneOf?: unknown };
  if (typeof type === 'string') return [type];
  if (Array.isArray(type)) return type.filter((entry) => typeof entry === 'string');
  const branches = [anyOf, oneOf].find(Array.isArray) as unknown[] | undefined;
  return branches?.flatMap(typesOf) ?? [];
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return Number.isInteger(value) ? 'integer' : typeof value;
}

function json(text: string, subject: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new CountersignError('USAGE', `${subject} is not JSON.`);
  }
}

function jsonObject(text: string, subject: string): Record<string, unknown> {
  const value = json(text, subject);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new CountersignError('USAGE', `${subject} is not a JSON object.`);
  return value as Record<string, unknown>;
}
