import type { Readable } from 'node:stream';
import { CountersignError } from './errors.js';
import type { ExchangeResponse } from './exchange.js';
import { sentence } from './refusal.js';
import type { TransportServices } from './transport-provider.js';
import { excerpt } from './visible-text.js';

/** The whole body as text. Throws TOO_LARGE beyond `maxBytes`, and destroys the body then. */
export async function readText(body: Readable, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    length += chunk.byteLength;
    if (length > maxBytes) throw new CountersignError('TOO_LARGE', `The answer is larger than ${maxBytes} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** The error for a response that is not a success: its status, and what the server says of the reason. Reads at most 64 KB of the body, and destroys it. */
export async function refusedResponse(
  response: ExchangeResponse,
  request: string,
  { server: { name }, redact }: Pick<TransportServices, 'server' | 'redact'>,
): Promise<CountersignError> {
  const { status, statusText, body } = response;
  const reason = sentence(await readText(body, 65_536).catch(() => ''));
  const says = reason ? ` It says: ${JSON.stringify(excerpt(redact(reason), 200))}.` : '';
  const answer = `${status}${statusText ? ` ${redact(statusText)}` : ''}`;
  return new CountersignError('SERVER_ERROR', `Server ${name} answered ${request} with ${answer}.${says}`, {
    server: name,
    status,
  });
}
