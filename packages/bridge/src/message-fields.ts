/** Revision 2026-07-28 has no session: each message says its revision itself. */
const VERSION = 'io.modelcontextprotocol/protocolVersion';

/** The member of `params` that a request's `Mcp-Name` repeats. */
const NAMED: Readonly<Record<string, string>> = {
  'tools/call': 'name',
  'prompts/get': 'name',
  'resources/read': 'uri',
  'tasks/get': 'taskId',
  'tasks/update': 'taskId',
  'tasks/cancel': 'taskId',
};

/**
 * The header fields that a message of revision 2026-07-28 is sent with (MCP 2026-07-28, transports, standard request headers), made of what stands in
 * it; none for messages of older revisions and for batches. `Mcp-Param-*`, which would take the tools' schemas, are not among them.
 */
export function messageFields(body: Buffer): [string, string][] {
  if (!body.includes(VERSION)) return [];
  const { method, params } = parsed(body);
  const version = (params?.['_meta'] as Record<string, unknown> | undefined)?.[VERSION];
  if (typeof version !== 'string' || typeof method !== 'string') return [];
  const name = Object.hasOwn(NAMED, method) ? params?.[NAMED[method]!] : undefined;
  return [
    ['mcp-protocol-version', fieldValue(version)],
    ['mcp-method', fieldValue(method)],
    ...(typeof name === 'string' ? ([['mcp-name', fieldValue(name)]] as [string, string][]) : []),
  ];
}

function parsed(body: Buffer): { method?: unknown; params?: Record<string, unknown> } {
  try {
    return (JSON.parse(body.toString()) as object | null) ?? {};
  } catch {
    return {};
  }
}

/** What HTTP can't carry as it stands is encoded as the revision says. */
function fieldValue(text: string): string {
  const plain = /^[\x20-\x7e\t]+$/.test(text) && text === text.trim() && !/^=\?base64\?.*\?=$/.test(text);
  return plain ? text : `=?base64?${Buffer.from(text).toString('base64')}?=`;
}
