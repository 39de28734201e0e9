import { CountersignError, visibleText } from '@countersign/core';
import type { RunCommand } from '../context.js';
import { curlCommand } from '../curl.js';
import { masked } from '../mask.js';
import { version } from '../version.js';

/** `headers SERVER [--reveal] [--curl]`: what a request carries now, from the real exchange with nothing sent. */
export const run: RunCommand = async (context, [name = ''], options) => {
  const app = await context.app();
  const server = app.servers.find((entry) => entry.name === name);
  if (server && !server.url) {
    throw new CountersignError(
      'USAGE',
      `Server ${name} is a command on this machine: it has an environment, and no headers.`,
      { server: name, remedy: 'Look at "env" in its configuration.' },
    );
  }
  const reveal = options['reveal'] === true;
  const preview = await app.preview(name, server?.url ? firstRequest(server.transport, server.url) : {});
  const headers = preview.headers.map((header) => [header.name, reveal ? header.value : masked(header)] as const);
  const { screen } = context;
  if (options['curl'] === true) {
    screen.print(
      curlCommand({ ...preview, headers: headers.filter(([header]) => !CURL_SETS.has(header.toLowerCase())) }),
      true,
    );
    if (!reveal && preview.headers.some(({ sensitive }) => sensitive))
      screen.note('The credentials are masked: add --reveal for a command that works as it stands.');
  } else if (screen.json) {
    screen.document({ method: preview.method, url: preview.url.href, headers: Object.fromEntries(headers) }, true);
  } else {
    const lines = headers.map(([header, value]) => `${screen.style('cyan', header)}: ${visibleText(value)}`);
    screen.print([`${preview.method} ${visibleText(preview.url.href)}`, ...lines].join('\n'), true);
  }
  return 0;
};

// curl makes these itself, from the body and the connection.
const CURL_SETS = new Set(['content-length', 'connection', 'transfer-encoding', 'accept-encoding']);

function firstRequest(
  transport: string,
  url: URL,
): { method: string; url: URL; headers: [string, string][]; body?: string } {
  if (transport === 'sse') return { method: 'GET', url, headers: [['accept', 'text/event-stream']] };
  const body = {
    jsonrpc: '2.0',
    id: 0,
    method: 'initialize',
    params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'countersign', version } },
  };
  return {
    method: 'POST',
    url,
    headers: [
      ['accept', 'application/json, text/event-stream'],
      ['content-type', 'application/json'],
    ],
    body: JSON.stringify(body),
  };
}
