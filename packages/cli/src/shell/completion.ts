import type { Context } from '../context.js';
import { listAll } from '../list-all.js';
import type { Prompt, Resource, Tool } from '../protocol.js';
import { verbs } from './verbs.js';

type Kind = 'tools' | 'resources' | 'prompts';

interface Named {
  readonly name: string;
  /** Names of its arguments. */
  readonly keys: readonly string[];
}

export interface Completion {
  /** The words that the last word of the line may become. Never throws: what can't be found out completes nothing. */
  candidates(line: string): Promise<string[]>;
  /** Forgets what a server's lists were. */
  forget(server: string): void;
}

/** Completes commands, servers, tools, resources, prompts and the keys of their arguments. Asks only servers that are connected. */
export function createCompletion(context: Context, serverNames: readonly string[]): Completion {
  const lists = new Map<string, Promise<readonly Named[]>>();

  function list(server: string, kind: Kind): Promise<readonly Named[]> {
    const key = `${kind} ${server}`;
    let listed = lists.get(key);
    if (!listed) {
      listed = fetchList(context, server, kind).catch(() => {
        lists.delete(key);
        return [];
      });
      lists.set(key, listed);
    }
    return listed;
  }

  async function words(line: string): Promise<string[]> {
    const [first = '', ...rest] = line.split(/\s+/);
    if (rest.length === 0) return Object.keys(verbs).map((name) => `/${name} `);
    const verb = verbs[first.replace(/^\//, '')];
    if (!verb?.server) return [];
    if (rest.length === 1) return [...serverNames, ...Object.keys(verb.flags ?? {})].map((name) => `${name} `);
    const [server = '', item = ''] = rest;
    if (verb.server === 'list' || !verb.completes)
      return [...(verb.server === 'list' ? serverNames : []), ...Object.keys(verb.flags ?? {})].map(
        (name) => `${name} `,
      );
    const names = await list(server, verb.completes);
    if (rest.length === 2) return names.map(({ name }) => `${name} `);
    return (names.find(({ name }) => name === item)?.keys ?? []).map((key) => `${key}=`);
  }

  return {
    async candidates(line) {
      const last = /\S*$/.exec(line)?.[0] ?? '';
      return (await words(line.trimStart())).filter((word) => word.startsWith(last) && word.trimEnd() !== last);
    },
    forget(server) {
      for (const key of lists.keys()) if (key.endsWith(` ${server}`)) lists.delete(key);
    },
  };
}

async function fetchList(context: Context, server: string, kind: Kind): Promise<Named[]> {
  const connection = context.connections.get(server);
  if (!connection?.open) throw new Error('not connected');
  const { items } = await listAll<Tool & Resource & Prompt>(connection, `${kind}/list`, kind, {
    signal: AbortSignal.any([context.signal, AbortSignal.timeout(2000)]),
  });
  return items.flatMap(({ name, uri, inputSchema, arguments: prompted }) => {
    const shown = kind === 'resources' ? uri : name;
    // A name with a control character, a space or a quote is not one to put on somebody's line.
    if (shown === undefined || !/^[!-~]+$/.test(shown)) return [];
    return [
      { name: shown, keys: prompted?.map((argument) => argument.name) ?? Object.keys(inputSchema?.properties ?? {}) },
    ];
  });
}
