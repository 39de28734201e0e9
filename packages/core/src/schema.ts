import { safeParse, toJSONSchema, type $ZodIssue, type $ZodType } from 'zod/v4/core';
import * as z from 'zod/mini';
import { nearest } from './suggestion.js';

/** Parses by a schema, or throws what `fail` makes of the first problem: `has no "url"`, `"timeout" must be a number`. Never quotes a value. */
export function explain<T>(schema: $ZodType<T>, value: unknown, fail: (problem: string) => Error): T {
  const result = safeParse(schema, value, { reportInput: false });
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw fail(issue ? problemOf(issue, fieldsOf(schema)) : 'is not valid');
}

function problemOf(issue: $ZodIssue, known: readonly string[]): string {
  const field = issue.path.map(String).join('.');
  if (issue.code === 'unrecognized_keys') {
    const [key = ''] = issue.keys;
    const near = nearest(key, known);
    return `has an unknown field ${JSON.stringify([...issue.path.map(String), key].join('.').slice(0, 80))}${near ? ` (did you mean "${near}"?)` : ''}`;
  }
  const what = issue.code === 'invalid_union' ? 'does not fit any of the forms that it may have' : lower(issue.message);
  return field ? `has a wrong ${JSON.stringify(field.slice(0, 80))}: ${what}` : what;
}

const lower = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1);

interface ObjectDefinition {
  readonly shape?: Readonly<Record<string, $ZodType>>;
  readonly innerType?: $ZodType;
  readonly options?: readonly $ZodType[];
}

const definitionOf = (schema: $ZodType): ObjectDefinition => schema._zod.def as ObjectDefinition;

/** The names of an object schema's fields; of a union all of its members'. */
export function fieldsOf(schema: $ZodType): string[] {
  const { shape, innerType, options } = definitionOf(schema);
  if (shape) return Object.keys(shape);
  if (innerType) return fieldsOf(innerType);
  return [...new Set(options?.flatMap(fieldsOf) ?? [])];
}

/** What a field's schema says of itself: `secret` (never shown, a literal draws a warning), `template` (rendered by the provider), `description`. */
export interface FieldMetadata {
  readonly secret?: boolean;
  readonly template?: boolean;
  readonly description?: string;
}

/** Metadata of a field of an object schema, through optional and default wrappers, in any member of a union. */
export function fieldMetadata(schema: $ZodType, field: string): FieldMetadata {
  const { shape, innerType, options } = definitionOf(schema);
  if (shape) return shape[field] ? metadataOf(shape[field]) : {};
  if (innerType) return fieldMetadata(innerType, field);
  return Object.assign({}, ...(options ?? []).map((option) => fieldMetadata(option, field))) as FieldMetadata;
}

function metadataOf(schema: $ZodType): FieldMetadata {
  const own = z.globalRegistry.get(schema) as FieldMetadata | undefined;
  const { innerType } = definitionOf(schema);
  return { ...(innerType ? metadataOf(innerType) : {}), ...own };
}

/** The strings of an options object that its schema marks as secret, at any depth: `["idp.clientSecret", "…"]`. */
export function secretStrings(schema: $ZodType, options: object): [path: string, value: string][] {
  return Object.entries(options).flatMap(([field, value]): [string, string][] => {
    if (typeof value === 'string') return fieldMetadata(schema, field).secret ? [[field, value]] : [];
    if (typeof value !== 'object' || value === null) return [];
    return fieldSchemas(schema, field).flatMap((inner) =>
      secretStrings(inner, value as object).map(([path, text]): [string, string] => [`${field}.${path}`, text]),
    );
  });
}

function fieldSchemas(schema: $ZodType, field: string): $ZodType[] {
  const { shape, innerType, options } = definitionOf(schema);
  if (shape) return shape[field] ? [shape[field]] : [];
  if (innerType) return fieldSchemas(innerType, field);
  return options?.flatMap((option) => fieldSchemas(option, field)) ?? [];
}

/** The JSON Schema (draft 2020-12) of a zod schema's input. */
export function jsonSchemaOf(schema: $ZodType): Record<string, unknown> {
  const { $schema, ...rest } = toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Record<string, unknown>;
  void $schema; // of the whole document, not of its parts
  return rest;
}
