import { ownSettings, serverEntry } from './configuration-schema.js';
import type { InstalledProviders } from './countersign.js';
import { jsonSchemaOf } from './schema.js';

type JsonSchema = Record<string, unknown>;

/** The JSON Schema (draft 2020-12) of a configuration with these providers installed, for editors. */
export function configurationSchema({ auth, transports }: Pick<InstalledProviders, 'auth' | 'transports'>): JsonSchema {
  const methods = auth.map(({ type, options }) => {
    const { properties, required, ...rest } = options as { properties?: JsonSchema; required?: string[] };
    const method = { const: type, description: `Auth method ${type}.` };
    return { ...rest, properties: { method, ...properties }, required: ['method', ...(required ?? [])] };
  });
  const none = { type: 'object', properties: { method: { const: 'none' } }, required: ['method'] };
  const method = { oneOf: [...methods, none] };
  const base = jsonSchemaOf(serverEntry) as { properties: JsonSchema };
  const own = transports.map(({ options }) => (options as { properties?: JsonSchema }).properties ?? {});
  const server = {
    ...base,
    properties: {
      ...(Object.assign({}, ...own) as JsonSchema),
      ...base.properties,
      auth: { description: 'One method, or a list of them.', anyOf: [method, { type: 'array', items: method }] },
    },
  };
  const servers = { type: 'object', additionalProperties: { $ref: '#/$defs/server' } };
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Countersign configuration',
    description: 'MCP servers by name: a bare map, under "mcpServers", or under "servers".',
    type: 'object',
    properties: { mcpServers: servers, servers, countersign: jsonSchemaOf(ownSettings) },
    $defs: { server },
  };
}
