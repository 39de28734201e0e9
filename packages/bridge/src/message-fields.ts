import { isBatch, members } from './envelope.js';

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
  if (!body.includes(VERSION) || isBatch(body)) return [];
  const message = read(body, body.indexOf('{'), ['method', 'params']);
  const method = text(body, message.get('method'));
  const params = message.get('params')?.from ?? -1;
  const named = method !== undefined && Object.hasOwn(NAMED, method) ? NAMED[method]! : '';
  const found = read(body, params, ['_meta', named]);
  const version = text(body, read(body, found.get('_meta')?.from ?? -1, [VERSION]).get(VERSION));
  if (version === undefined || method === undefined) return [];
  const name = text(body, found.get(named));
  return [
    ['mcp-protocol-version', fieldValue(version)],
    ['mcp-method', fieldValue(method)],
    ...(name === undefined ? [] : [['mcp-name', fieldValue(name)] as [string, string]]),
  ];
}

interface Place {
  readonly from: number;
  readonly to: number;
}

/** Where the values of some members of an object are; the last of equal keys counts, as for JSON.parse. The rest, which may be megabytes, is passed over. */
function read(body: Buffer, start: number, wanted: readonly string[]): Map<string, Place> {
  const places = new Map<string, Place>();
  for (const [key, from, to] of members(body, start)) if (wanted.includes(key)) places.set(key, { from, to });
  return places;
}

/** A string of at most 8 KB. */
function text(body: Buffer, place: Place | undefined): string | undefined {
  if (!place || place.to - place.from > 8192) return undefined;
  try {
    const value: unknown = JSON.parse(body.toString('utf8', place.from, place.to));
    return typeof value === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}

/** What HTTP can't carry as it stands is encoded as the revision says. */
function fieldValue(text: string): string {
  const plain = /^[\x20-\x7e\t]+$/.test(text) && text === text.trim() && !/^=\?base64\?.*\?=$/.test(text);
  return plain ? text : `=?base64?${Buffer.from(text).toString('base64')}?=`;
}
