import type { Readable } from 'node:stream';
import { abortable } from './abortable.js';
import type { OutgoingRequest } from './auth-provider.js';
import { peekBody } from './body-limits.js';
import { parseChallenges } from './challenges.js';
import { CountersignError } from './errors.js';
import type { ChainMember } from './exchange.js';
import type { SenderResponse } from './sender.js';

const RENEWAL_MS = 55_000;
const PEEK_BYTES = 65_536;
const PEEK_MS = 5_000;

/**
 * Asks every provider of the chain that can renew, in order; any true is enough. A renewal is shared by all that wait for the same provider, status and
 * challenge, and none of them can abort it. Answers the response, whole, when nothing was renewed.
 */
export async function renew(
  chain: readonly ChainMember[],
  outgoing: OutgoingRequest,
  response: SenderResponse,
  epochs: readonly number[],
  signal: AbortSignal,
): Promise<'renewed' | SenderResponse> {
  const field = response.headers.get('www-authenticate');
  const key = `${response.status} ${field ?? ''}`;
  let peeked: ReturnType<typeof peekBody> | undefined;
  let again = false;
  try {
    for (const [index, member] of chain.entries()) {
      if (!member.provider.challenge) continue;
      if (member.epoch !== epochs[index]) {
        again = true;
        continue;
      }
      let renewal = member.renewals.get(key);
      if (!renewal) {
        const lifetime = lifetimeOf(member.type);
        const asked = member.provider.challenge({
          request: outgoing,
          response: { status: response.status, headers: response.headers, url: outgoing.url },
          challenges: parseChallenges(field),
          body: async (limit = PEEK_BYTES) =>
            (await (peeked ??= peekBody(response.body, PEEK_BYTES, PEEK_MS))).start.subarray(0, limit).toString('utf8'),
          signal: lifetime,
        });
        renewal = abortable(asked, lifetime)
          .then((renewed) => {
            if (renewed) member.epoch++;
            return renewed;
          })
          .finally(() => member.renewals.delete(key));
        renewal.catch(() => undefined);
        member.renewals.set(key, renewal);
      }
      if (await abortable(renewal, signal)) again = true;
    }
  } catch (error) {
    discard(response.body);
    throw error;
  }
  const body = peeked ? (await peeked).body : response.body;
  if (!again) return { ...response, body };
  discard(body);
  return 'renewed';
}

/** A renewal that outlives its time is its method's TIMEOUT, for all that wait. */
function lifetimeOf(method: string): AbortSignal {
  const controller = new AbortController();
  const late = new CountersignError(
    'TIMEOUT',
    `Auth method ${method} did not renew its credential within ${RENEWAL_MS / 1000} s.`,
  );
  setTimeout(() => controller.abort(late), RENEWAL_MS).unref();
  return controller.signal;
}

/** Gives the connection of an answer that nobody reads back: to the next request, or, if it is endless, by force. */
export function discard(body: Readable): void {
  body.on('error', () => undefined); // nobody reads it any more
  body.resume();
  setTimeout(() => body.destroy(), 1_000).unref(); // an endless one gives its connection back by force
}
