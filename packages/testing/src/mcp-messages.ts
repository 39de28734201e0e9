/** A JSON-RPC message of the protocol. */
export type Message = {
  readonly jsonrpc: '2.0';
  readonly id?: string | number;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: unknown;
  readonly error?: unknown;
};

/** What the recording server answers to a message; nothing to a notification. */
export function respond({ id, method, params }: Message): Message | undefined {
  if (id === undefined || method === undefined) return undefined;
  const results: Record<string, unknown> = {
    initialize: {
      protocolVersion: params?.['protocolVersion'] ?? '2025-11-25',
      capabilities: { tools: {} },
      serverInfo: { name: 'recording', version: '1.0.0' },
    },
    ping: {},
    'tools/list': { tools: [{ name: 'echo', description: 'Answers its arguments', inputSchema: { type: 'object' } }] },
    'tools/call': { content: [{ type: 'text', text: JSON.stringify(params?.['arguments'] ?? null) }] },
  };
  const result = results[method];
  return result
    ? { jsonrpc: '2.0', id, result }
    : { jsonrpc: '2.0', id, error: { code: -32601, message: 'Method not found' } };
}

/** The same server on stdio, as the `command` and `args` of a configuration. */
export function stdioServer(): { command: string; args: string[] } {
  const program = `
    const respond = ${respond.toString()};
    let rest = '';
    process.stdin.setEncoding('utf8').on('data', (text) => {
      const lines = (rest + text).split('\\n');
      rest = lines.pop();
      for (const line of lines) {
        const answer = line.trim() && respond(JSON.parse(line));
        if (answer) process.stdout.write(JSON.stringify(answer) + '\\n');
      }
    });`;
  return { command: process.execPath, args: ['-e', program] };
}

let nextId = 1;

export const request = (
  method: string,
  params?: Record<string, unknown>,
): Message & { id: number; method: string } => ({
  jsonrpc: '2.0',
  id: nextId++,
  method,
  ...(params ? { params } : {}),
});

export const initialize = (): Message & { id: number; method: string } =>
  request('initialize', {
    protocolVersion: '2025-11-25',
    capabilities: {},
    clientInfo: { name: 'countersign-testing', version: '0' },
  });
