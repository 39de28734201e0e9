import { describe, expect, test } from '@jest/globals';
import { createHash, createHmac, type BinaryLike } from 'node:crypto';
import { isCountersignError } from '@countersign/core';
import { SignatureV4 } from '@smithy/signature-v4';
import fc from 'fast-check';
import { sign, type SignableRequest, type SignedRequest } from '../src/index.js';

class Sha256 {
  readonly #hash;
  constructor(secret?: BinaryLike) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', secret);
  }
  update(data: Uint8Array): void {
    this.#hash.update(data);
  }
  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }
  reset(): void {}
}

const date = new Date('2026-11-24T12:34:56Z');

/** Recomputes the signature as a server would: from the URL, the headers and the bytes that travel. */
async function recompute(
  request: SignableRequest,
  signed: SignedRequest,
  scope: { region: string; service: string; credentials: { accessKeyId: string; secretAccessKey: string } },
) {
  const url = new URL(signed.url);
  const names = new Set(/SignedHeaders=([^,]+)/.exec(signed.headers['authorization'] ?? '')?.[1]?.split(';'));
  const query = Object.create(null) as Record<string, string[]>;
  for (const [name, value] of url.searchParams) (query[name] ??= []).push(value);
  const verifier = new SignatureV4({ ...scope, sha256: Sha256 as never, applyChecksum: false });
  const recomputed = await verifier.sign(
    {
      method: request.method,
      protocol: url.protocol,
      hostname: url.hostname,
      path: url.pathname,
      query: { ...query },
      headers: Object.fromEntries(Object.entries(signed.headers).filter(([name]) => names.has(name))),
      body: request.body,
    },
    { signingDate: date },
  );
  return recomputed.headers['authorization'];
}

const text = fc.oneof(
  fc.string({ maxLength: 12 }),
  fc.string({ unit: 'binary', maxLength: 6 }),
  fc.constantFrom('', ' ', 'a b', '+', '~', "!'()*", 'ሴ', '%', '&=', '💡'),
);
const segment = fc.oneof(
  fc.constantFrom(
    '.',
    '..',
    '',
    'mcp',
    'arn%3Aaws%3Abedrock-agentcore%3Aus-east-1%3A123456789012%3Aruntime%2Fdemo-x1',
    'a b',
    'é',
    "o'clock(1)",
    '%7Euser',
    'a+b',
    ';v=1',
    '@:$,',
  ),
  text.map(encodeURIComponent),
);
const path = fc.array(segment, { maxLength: 5 }).map((segments) => `/${segments.join('/')}`);
const pair = fc.oneof(
  fc.tuple(text, text).map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`),
  fc.constantFrom(
    'a',
    'a=',
    '=',
    '',
    'a=1&a=0',
    'b+c=d+e',
    'z=%7E',
    'A=1',
    'a-b=1',
    'a=x=y',
    'ሴ=bar',
    'q=a%2Fb%20c',
    '__proto=1',
    "k='()*!",
  ),
);
const query = fc.array(pair, { maxLength: 5 }).map((pairs) => (pairs.length > 0 ? `?${pairs.join('&')}` : ''));
const value = fc.oneof(
  fc.string({ maxLength: 20 }),
  fc.constantFrom('  a   b  ', '\ta\t\tb', '"a   b"', ',', 'text/plain; charset=utf-8'),
);
const header = fc.tuple(
  fc.constantFrom(
    'content-type',
    'Content-Type',
    'X-Amz-Target',
    'x-amz-meta-a',
    'X-Custom',
    'x-custom',
    'Range',
    'User-Agent',
    'mcp-session-id',
    'Date',
    'x-z',
    'sec-x',
    'Connection',
  ),
  value,
);
const body = fc.oneof(
  fc.constant(undefined),
  fc.string({ maxLength: 200 }),
  fc.uint8Array({ maxLength: 200 }),
  fc.string({ unit: 'binary', maxLength: 40 }),
);
const requests = fc.record({
  method: fc.constantFrom('GET', 'POST', 'DELETE'),
  path,
  query,
  headers: fc.array(header, { maxLength: 6 }),
  body,
  token: fc.option(fc.base64String({ minLength: 4, maxLength: 80 }), { nil: undefined }),
});

const scope = { region: 'us-east-1', service: 'bedrock-agentcore' };
const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };

async function compare(request: SignableRequest, sessionToken: string | undefined): Promise<'same' | 'refused'> {
  const all = { ...credentials, ...(sessionToken === undefined ? {} : { sessionToken }) };
  let signed: SignedRequest;
  try {
    signed = sign(request, { ...scope, credentials: all, date });
  } catch (error) {
    if (!isCountersignError(error, 'CONFIG_INVALID', 'INVALID_HEADER')) throw error;
    return 'refused';
  }
  expect(signed.headers['authorization']).toBe(await recompute(request, signed, { ...scope, credentials: all }));
  return 'same';
}

describe('beside an independent signer', () => {
  test('10,000 generated requests have the signature that @smithy/signature-v4 recomputes over what travels', async () => {
    const counts = { same: 0, refused: 0 };
    await fc.assert(
      fc.asyncProperty(requests, async ({ token, path, query, ...request }) => {
        counts[
          await compare({ ...request, url: `https://bedrock-agentcore.us-east-1.amazonaws.com${path}${query}` }, token)
        ]++;
      }),
      { numRuns: 10_000 },
    );
    expect(counts.same).toBeGreaterThan(9000);
  }, 120_000);

  test.each([65_537, 1_048_576])('a binary body of %d bytes is hashed as it is', async (size) => {
    const bytes = Buffer.alloc(
      size,
      Uint8Array.from({ length: 256 }, (_, index) => index),
    );
    await expect(
      compare({ method: 'POST', url: 'https://a.execute-api.us-east-1.amazonaws.com/mcp', body: bytes }, undefined),
    ).resolves.toBe('same');
  });

  test('an encoded ARN in the path stays one segment, encoded twice in the signature and once on the wire', () => {
    const arn = encodeURIComponent('arn:aws:bedrock-agentcore:us-east-1:123456789012:runtime/demo-x1');
    const signed = sign(
      {
        method: 'POST',
        url: `https://bedrock-agentcore.us-east-1.amazonaws.com/runtimes/${arn}/invocations?qualifier=DEFAULT`,
      },
      { ...scope, credentials, date },
    );
    expect(signed.url).toContain('/runtimes/arn%3Aaws%3A');
    expect(signed.canonicalRequest).toContain('/runtimes/arn%253Aaws%253A');
  });
});

describe('what verifiers read in different ways', () => {
  const from =
    (url: string, headers: Record<string, string> = {}) =>
    () =>
      sign({ method: 'GET', url, headers }, { ...scope, credentials, date });

  test('is refused when a percent sign of the query begins no encoding', () => {
    expect(from('https://a.example/?q=50%')).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
    expect(from('https://a.example/?q=%ff')).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  });

  test('is refused when the URL is signed already', () => {
    expect(from('https://a.example/?X-Amz-Signature=00')).toThrow(/signed already/);
  });

  test('is refused when a signed header is not ASCII, without its value', () => {
    expect(from('https://a.example/', { 'x-amz-meta-a': 'h\u00a0s\u00e9cret' })).toThrow(
      /^The value of header x-amz-meta-a holds a character that cannot be signed\.$/,
    );
  });

  test('a plus sign of the query travels as a space, which all decoders agree on', () => {
    expect(from('https://a.example/?q=a+b%2Bc')().url).toBe('https://a.example/?q=a%20b%2Bc');
  });
});

test.each([
  { accessKeyId: '', secretAccessKey: 'x' },
  { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: undefined as unknown as string },
])('nothing is signed with incomplete credentials', (incomplete) => {
  expect(() => sign({ method: 'GET', url: 'https://a.example/' }, { ...scope, credentials: incomplete })).toThrow(
    /lack an access key id or a secret access key/,
  );
});
