import { CountersignError } from '@countersign/core';
import type { Connection, RequestOptions } from './connection.js';

const MOST_PAGES = 1000;

/** The protocol's own list result with all its pages joined under `key`. Throws SERVER_ERROR when the pages never end. */
export async function listAll<T>(
  connection: Connection,
  method: string,
  key: string,
  options: RequestOptions = {},
): Promise<{ result: Record<string, unknown>; items: T[] }> {
  const items: T[] = [];
  let cursor: string | undefined;
  const seen = new Set<string>();
  for (let page = 0; page < MOST_PAGES; page++) {
    const { nextCursor, ...result } = await connection.request<Record<string, unknown> & { nextCursor?: string }>(
      method,
      cursor === undefined ? {} : { cursor },
      options,
    );
    const part = result[key];
    if (Array.isArray(part)) for (const item of part as T[]) items.push(item);
    if (nextCursor === undefined) return { result: { ...result, [key]: items }, items };
    if (seen.has(nextCursor)) break;
    seen.add(nextCursor);
    cursor = nextCursor;
  }
  throw new CountersignError('SERVER_ERROR', `Server ${connection.name} answers ${method} with pages that never end.`, {
    server: connection.name,
  });
}
