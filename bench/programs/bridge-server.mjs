// A remote server that costs little, so that what is measured is who stands before it. Prints its port; ends with its stdin.
import { createServer } from 'node:http';

const texts = { '1 KB': 1024, '100 KB': 102_400, '5 MB': 5_242_880 };
const results = Object.fromEntries(
  Object.entries(texts).map(([name, size]) => [
    name,
    JSON.stringify({ content: [{ type: 'text', text: 'x'.repeat(size) }] }),
  ]),
);

const server = createServer((request, response) => {
  /** @type {Buffer[]} */
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    if (request.method !== 'POST') return void response.writeHead(request.method === 'GET' ? 405 : 200).end();
    const { id, method, params } = JSON.parse(Buffer.concat(parts).toString());
    if (id === undefined) return void response.writeHead(202).end();
    const answer = (/** @type {string} */ result, headers = {}) => {
      const body = Buffer.from(`{"result":${result},"jsonrpc":"2.0","id":${JSON.stringify(id)}}`);
      response
        .writeHead(200, { 'content-type': 'application/json', 'content-length': body.length, ...headers })
        .end(body);
    };
    if (method === 'initialize') {
      const { protocolVersion } = params;
      const serverInfo = { name: 'bench', version: '1' };
      return answer(JSON.stringify({ protocolVersion, capabilities: { tools: {}, logging: {} }, serverInfo }), {
        'mcp-session-id': 's',
      });
    }
    if (method === 'tools/list') return answer('{"tools":[{"name":"1 KB","inputSchema":{"type":"object"}}]}');
    if (params.name === 'notify') return notify(params.arguments.count, id);
    answer(results[params.name] ?? '{"content":[]}');
  });

  /** @param {number} count @param {unknown} id */
  function notify(count, id) {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    let sent = 0;
    const more = () => {
      while (sent < count) {
        const data = `{"method":"notifications/message","params":{"level":"info","data":"${sent++}"},"jsonrpc":"2.0"}`;
        if (!response.write(`event: message\ndata: ${data}\n\n`)) return void response.once('drain', more);
      }
      response.end(`event: message\ndata: {"result":{"content":[]},"jsonrpc":"2.0","id":${JSON.stringify(id)}}\n\n`);
    };
    more();
  }
});
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => console.log(/** @type {import('node:net').AddressInfo} */ (server.address()).port));
process.stdin.on('end', () => process.exit()).resume();
