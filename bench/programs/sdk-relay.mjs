// The shortest relay that the SDK allows: what its transports cost by themselves.
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';

const stdio = new StdioServerTransport();
const http = new StreamableHTTPClientTransport(new URL(process.argv[2] ?? ''));
stdio.onmessage = (/** @type {any} */ message) => void http.send(message);
http.onmessage = (/** @type {any} */ message) => {
  if ('result' in message && typeof message.result['protocolVersion'] === 'string')
    http.setProtocolVersion(message.result['protocolVersion']);
  void stdio.send(message);
};
process.stdin.on('end', () => process.exit());
await http.start();
await stdio.start();
