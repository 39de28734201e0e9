import { CountersignError } from './errors.js';
import { HeaderFields } from './header-fields.js';
import type { Sender } from './sender.js';

const ANSWER_CAP = 256 * 1024;
const DEADLINE_MS = 10_000;

/** `fetch`, with the milliseconds that the whole of a request may take where 10 s are not enough. */
export type GuardedFetch = (
  input: Parameters<typeof globalThis.fetch>[0],
  init?: RequestInit & { deadline?: number },
) => Promise<Response>;

/**
 * A `fetch` for metadata and token endpoints: no credentials of ours, no redirects (a 3xx is answered as it is), at most 256 KB
 * within 10 s, or the `deadline` that is asked for (R17). The body is read whole. Rejects with UNREACHABLE, TIMEOUT, TOO_LARGE, UNSAFE_URL, or the signal's reason.
 */
export function guardedFetch(sender: Sender): GuardedFetch {
  return async (input, init) => {
    const request = new Request(input, init);
    const url = new URL(request.url);
    url.hash = '';
    if (url.protocol !== 'https:' && url.protocol !== 'http:')
      throw new CountersignError('UNSAFE_URL', `A ${url.protocol} URL can't be fetched.`);
    const deadline = init?.deadline ?? DEADLINE_MS;
    const timeout = AbortSignal.timeout(deadline);
    let status: number | undefined;
    const signal = AbortSignal.any([timeout, request.signal]);
    const late = (): CountersignError => {
      // With a status in the cause the server has acted on the request: only the rest of its answer is missing.
      const cause =
        status === undefined ? {} : { cause: Object.assign(new Error('The answer is incomplete.'), { status }) };
      return new CountersignError('TIMEOUT', `${url.host} did not answer within ${deadline / 1000} s.`, cause);
    };
    try {
      const body = request.body ? new Uint8Array(await request.arrayBuffer()) : undefined;
      const headers = new HeaderFields(request.headers);
      if (!headers.has('accept')) headers.set('accept', 'application/json');
      const answer = await sender.send({ method: request.method, url, headers, body }, signal);
      ({ status } = answer);
      const chunks: Buffer[] = [];
      let size = 0;
      for await (const chunk of answer.body as AsyncIterable<Buffer>) {
        chunks.push(chunk);
        if ((size += chunk.length) > ANSWER_CAP)
          throw new CountersignError('TOO_LARGE', `${url.host} answered with more than ${ANSWER_CAP / 1024} KB.`);
      }
      if (answer.status < 200 || answer.status > 599)
        throw new CountersignError('SERVER_ERROR', `${url.host} answered with the status ${answer.status}.`);
      const empty = answer.status === 204 || answer.status === 205 || answer.status === 304;
      const response = new Response(empty ? null : Buffer.concat(chunks), {
        status: answer.status,
        statusText: answer.statusText,
        headers: [...answer.headers],
      });
      Object.defineProperty(response, 'url', { value: url.href });
      return response;
    } catch (error) {
      throw timeout.aborted ? late() : error;
    }
  };
}
