import { CountersignError, type EndpointFetch, type HeaderFields } from '@countersign/core';
import type { GitHubHost } from './hosts.js';

export interface ApiAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly data: Record<string, unknown>;
}

/** One request to GitHub's REST API. Answers refusals too. */
export async function callApi(
  endpoint: EndpointFetch,
  host: GitHubHost,
  path: string,
  { method = 'GET', token, body }: { method?: 'GET' | 'POST'; token: string; body?: unknown },
): Promise<ApiAnswer> {
  const response = await endpoint.fetch(host.api + path, {
    method,
    headers: {
      accept: 'application/vnd.github+json',
      authorization: `Bearer ${token}`,
      'user-agent': 'countersign',
      'x-github-api-version': '2022-11-28',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, headers: response.headers, data: parse(await response.text()) };
}

function parse(text: string): Record<string, unknown> {
  try {
    const data: unknown = JSON.parse(text);
    return typeof data === 'object' && data !== null ? (data as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** GitHub's explanation, unless it could hold something of the request: a long run without a space. */
export function messageOf(data: unknown): string | undefined {
  const message = (data as { message?: unknown } | undefined)?.message;
  if (typeof message !== 'string' || message.length > 300 || /[^\x20-\x7e]|\S{80}/.test(message)) return undefined;
  return message.replace(/\.$/, '');
}

/** A refusal by rate limit (403 or 429) as RATE_LIMITED, with the time when it ends; `undefined` for any other. */
export function rateLimit(
  status: number,
  headers: Pick<HeaderFields | Headers, 'get'>,
  message: string | undefined,
  about: { host: string; now: number; server?: string },
): CountersignError | undefined {
  if (status !== 403 && status !== 429) return undefined;
  const after = Number(headers.get('retry-after') ?? NaN);
  const used = headers.get('x-ratelimit-remaining') === '0';
  if (status === 403 && !used && Number.isNaN(after) && !/rate limit|abuse detection/i.test(message ?? ''))
    return undefined;
  const reset = Number(headers.get('x-ratelimit-reset') ?? NaN) * 1000;
  const date = Date.parse(headers.get('date') ?? '');
  const now = Number.isNaN(date) ? about.now : date; // the reset is by GitHub's clock
  const left = Number.isNaN(after) ? (used && !Number.isNaN(reset) ? Math.ceil((reset - now) / 1000) : 60) : after;
  const seconds = Math.min(Math.max(left, 1), 31_536_000);
  const until = new Date(now + seconds * 1000).toISOString().replace(/\.\d+Z$/, 'Z');
  return new CountersignError(
    'RATE_LIMITED',
    `${about.host} answered ${status}: GitHub's rate limit is used up until ${until}.`,
    {
      status,
      retryAfter: seconds,
      remedy: `Try again after ${until}; the credential itself is good.`,
      ...(about.server === undefined ? {} : { server: about.server }),
    },
  );
}
