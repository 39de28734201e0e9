// A stdio server for the tests: a small MCP server that misbehaves as its arguments say.
import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { setInterval, setTimeout } from 'node:timers';

const [mode] = process.argv.slice(2);
const send = (message) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
const result = (id, content) => send({ id, result: { content: [{ type: 'text', text: content }] } });

if (mode === 'exit-at-once') {
  process.stderr.write('Loading…\nFatal: no \u001b[31mdatabase\u001b[0m\n');
  process.exit(3);
}
if (mode === 'tell-and-exit') {
  const { TOKEN, API_KEY, LEVEL } = process.env;
  process.stderr.write(`started with ${TOKEN} ${API_KEY} ${LEVEL}\n`);
  process.exit(1);
}
if (mode === 'stubborn') process.on('SIGTERM', () => {});
if (mode === 'deaf') process.stdin.pause();

function fork() {
  // A grandchild that ignores SIGTERM and holds the pipes open.
  const child = spawn(
    process.execPath,
    ['-e', "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); process.stderr.write('forked\\n')"],
    { stdio: 'inherit' },
  );
  return child.pid;
}

async function answer({ id, params }) {
  switch (params.name) {
    case 'fork':
      return result(id, String(fork()));
    case 'fork-and-exit':
      send({ method: 'notifications/message', params: { level: 'info', data: fork() } });
      return setTimeout(() => process.exit(0), 100);
    case 'crash':
      process.stderr.write('about to crash\n');
      return process.exit(7);
    case 'kill':
      return process.kill(process.pid, 'SIGKILL');
    case 'never':
      return;
    case 'flood': {
      const chunk = `${'noise '.repeat(10_000)}\n`;
      for (let count = 0; count < 500; count++)
        if (!process.stderr.write(chunk)) await new Promise((resolve) => process.stderr.once('drain', resolve));
      return result(id, 'flooded');
    }
    case 'close-stdin':
      closeSync(0);
      setInterval(() => {}, 1000);
      return result(id, 'deaf now');
    case 'close-stdout':
      setInterval(() => {}, 1000);
      return closeSync(1);
    case 'garbage':
      process.stdout.write('starting \u001b[2J up\n\n{"half": \n42\n');
      return result(id, 'fine');
    case 'large':
      return result(id, 'x'.repeat(params.arguments.size));
    case 'twice':
      result(id, 'first');
      return result(id, 'second');
    case 'pid':
      return result(id, String(process.pid));
    case 'folder':
      return result(id, process.cwd());
    case 'environment':
      return result(id, JSON.stringify(process.env));
    default:
      return result(id, JSON.stringify(params.arguments ?? {}));
  }
}

if (mode !== 'deaf')
  createInterface({ input: process.stdin }).on('line', (line) => {
    const message = JSON.parse(line);
    if (mode === 'slow-start' && message.method === 'initialize')
      return process.stderr.write('waiting for the database\n');
    if (message.method === 'initialize')
      send({
        id: message.id,
        result: {
          protocolVersion: '2025-11-25',
          capabilities: { tools: {} },
          serverInfo: { name: 'scripted', version: '1' },
        },
      });
    else if (message.method === 'tools/call') void answer(message);
    else if (message.method === 'notifications/cancelled')
      process.stderr.write(`cancelled ${message.params.requestId}\n`);
  });
if (mode === 'stubborn' || mode === 'deaf') setInterval(() => {}, 1000);
