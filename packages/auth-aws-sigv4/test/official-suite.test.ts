import { expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { sign } from '../src/index.js';

interface Suite {
  region: string;
  service: string;
  credentials: { accessKeyId: string; secretAccessKey: string };
  signingDate: Date;
  requests: {
    name: string;
    request: {
      method: string;
      hostname: string;
      path: string;
      query: Record<string, string>;
      headers: Record<string, string>;
      body?: string;
    };
    authorization: string;
  }[];
}

// AWS's own test suite, the 24 cases of it that @smithy/signature-v4 5.2.0 publishes. The package exports no such path, and its file is an ES module by content only.
const file = fileURLToPath(new URL('dist-es/suite.fixture.js', import.meta.resolve('sigv4-suite/package.json')));
const suite = (await import(`data:text/javascript,${encodeURIComponent(readFileSync(file, 'utf8'))}`)) as Suite;

test.each(suite.requests)('signs the case $name of AWS as AWS does', ({ request, authorization }) => {
  const query = new URLSearchParams(request.query).toString();
  const signed = sign(
    {
      method: request.method,
      url: `https://${request.hostname}`,
      path: query ? `${request.path}?${query}` : request.path,
      headers: request.headers,
      body: request.body,
    },
    { credentials: suite.credentials, region: suite.region, service: suite.service, date: suite.signingDate },
  );
  expect(signed.headers['authorization']).toBe(authorization);
});

test('the published suite has its 24 cases', () => {
  expect(suite.requests).toHaveLength(24);
});
