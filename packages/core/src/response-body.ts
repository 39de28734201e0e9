import { CountersignError } from './errors.js';

/** The whole body as text. Throws TOO_LARGE beyond `maxBytes`, and cancels the body then. */
export async function readText(body: ReadableStream<Uint8Array> | null, maxBytes: number): Promise<string> {
  if (!body) return '';
  const chunks: Uint8Array[] = [];
  let length = 0;
  // Leaving the loop cancels the body.
  for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) {
    length += chunk.byteLength;
    if (length > maxBytes) throw new CountersignError('TOO_LARGE', `The answer is larger than ${maxBytes} bytes.`);
    chunks.push(chunk);
  }
  return new TextDecoder().decode(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks));
}

/** The error for a response that is not a success: its status, and the message of the JSON-RPC error that it carries, if it does. Reads at most 64 KB of it. */
export async function refusedResponse(response: Response, server: string, request: string): Promise<CountersignError> {
  const { status, statusText } = response;
  const reason = jsonRpcReason(await readText(response.body, 65_536).catch(() => ''));
  const code = status === 401 ? 'UNAUTHORIZED' : status === 403 ? 'FORBIDDEN' : 'SERVER_ERROR';
  const answer = [status, statusText].filter(Boolean).join(' ');
  return new CountersignError(
    code,
    `Server ${server} answered ${request} with ${answer}${reason ? `: ${reason}` : '.'}`,
    { server, status },
  );
}

function jsonRpcReason(text: string): string | undefined {
  try {
    const { error } = JSON.parse(text) as { error?: { message?: unknown } };
    return typeof error?.message === 'string' ? error.message.slice(0, 300) : undefined;
  } catch {
    return undefined;
  }
}
