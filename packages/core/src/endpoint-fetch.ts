import { abortable } from './abortable.js';
import type { AuthServices } from './auth-provider.js';
import { CountersignError } from './errors.js';

/** A fetch for the endpoints that give out credentials, and what it learned of their clock. */
export interface EndpointFetch {
  /** Answers a response whose body is read already. Throws TIMEOUT at the deadline, which covers the body too. */
  readonly fetch: typeof globalThis.fetch;
  /** Milliseconds to add to the local clock for the endpoint's time, by the last response's Date; 0 below five seconds. */
  readonly offset: number;
}

/** Milliseconds that one request to a token endpoint may take. */
export const ENDPOINT_DEADLINE = 10_000;

/** Wraps `services.fetch`: a deadline for each request, by `services.clock`, and the offset of the endpoint's clock. */
export function endpointFetch(
  services: Pick<AuthServices, 'fetch' | 'clock'>,
  deadline = ENDPOINT_DEADLINE,
): EndpointFetch {
  let offset = 0;
  const { clock } = services;

  async function send(input: Parameters<typeof fetch>[0], init: RequestInit, signal: AbortSignal): Promise<Response> {
    const before = clock.now();
    const response = await services.fetch(input, { ...init, signal });
    learn(response.headers, before);
    const { status, statusText, headers } = response;
    const body = await response.arrayBuffer();
    return new Response(body.byteLength === 0 ? null : body, { status, statusText, headers });
  }

  function learn(headers: Headers, before: number): void {
    if (headers.has('age')) return; // a cache's answer carries the origin's old Date
    const date = Date.parse(headers.get('date') ?? '');
    if (Number.isNaN(date)) return;
    const difference = date - (before + clock.now()) / 2;
    offset = Math.abs(difference) < 5000 ? 0 : Math.round(difference);
  }

  return {
    get offset() {
      return offset;
    },
    async fetch(input, init = {}) {
      const { host } = new URL(input instanceof Request ? input.url : input);
      const stop = new AbortController();
      const done = new AbortController();
      const late = (): void =>
        stop.abort(
          new CountersignError('TIMEOUT', `${host} did not answer within ${deadline / 1000} seconds.`, {
            remedy: `Check that ${host} can be reached from here, and the proxy if there is one.`,
          }),
        );
      clock.sleep(deadline, done.signal, { ref: false }).then(late, () => undefined);
      try {
        const signal = init.signal ? AbortSignal.any([init.signal, stop.signal]) : stop.signal;
        return await abortable(send(input, init, signal), signal);
      } finally {
        done.abort();
      }
    },
  };
}
