import aws4 from 'aws4';
import { createHash } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { sign } from '@countersign/auth-aws-sigv4';
import { compare } from '../measure.mjs';

const credentials = {
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
  sessionToken: 'FwoGZXIvYXdzE'.repeat(40),
};
const scope = { region: 'us-east-1', service: 'lambda' };
const host = 'abcdefghijklmnop.lambda-url.us-east-1.on.aws';
/** What a streamable HTTP transport sends. @param {number} number */
const headers = (number) => ({
  'content-type': 'application/json',
  accept: 'application/json, text/event-stream',
  'mcp-protocol-version': '2025-11-25',
  'mcp-session-id': `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`,
});
const SIZES = [
  { size: 1_000, times: 5_000 },
  { size: 100_000, times: 400 },
  { size: 5_000_000, times: 8 },
];

/** Signing a request in process, beside aws4 alone and beside SHA-256 of the body alone. */
export default async function sigv4({ rounds = 21 } = {}) {
  const contestants = SIZES.flatMap(({ size, times }) => {
    const body = Buffer.alloc(size, '{"jsonrpc":"2.0","id":1}');
    const works = {
      countersign: (/** @type {number} */ number) =>
        sign({ method: 'POST', url: `https://${host}/mcp`, headers: headers(number), body }, { ...scope, credentials }),
      aws4: (/** @type {number} */ number) =>
        aws4.sign({ ...scope, host, path: '/mcp', method: 'POST', headers: headers(number), body }, credentials),
      'SHA-256': () => createHash('sha256').update(body).digest('hex'),
    };
    return Object.entries(works).map(([name, work]) => ({
      name: `${name}, ${size} B`,
      run: async () => spent(work, times),
    }));
  });
  const { rows, ratio } = await compare({ contestants, rounds });
  return {
    title: `Signing ${SIZES.map(({ size, times }) => `${times} requests of ${size} B`).join(', ')}`,
    rows,
    ratios: [
      {
        name: 'CPU of 1 KB, countersign to aws4',
        value: ratio('countersign, 1000 B', 'aws4, 1000 B'),
        limit: 0.6,
        goal: 0.5,
      },
      {
        name: 'CPU of 100 KB, countersign to SHA-256',
        value: ratio('countersign, 100000 B', 'SHA-256, 100000 B'),
        limit: 1.25,
        goal: 1.15,
      },
      {
        name: 'CPU of 5 MB, countersign to SHA-256',
        value: ratio('countersign, 5000000 B', 'SHA-256, 5000000 B'),
        limit: 1.15,
      },
    ],
  };
}

setFlagsFromString('--expose-gc');
/** @type {() => void} What one contestant leaves behind is not the next one's to sweep. */
const collectGarbage = runInNewContext('gc');

/** @param {(number: number) => unknown} work @param {number} times */
function spent(work, times) {
  collectGarbage();
  const [cpu, wall] = [process.cpuUsage(), performance.now()];
  for (let number = 0; number < times; number++) work(number);
  const { user, system } = process.cpuUsage(cpu);
  return { cpu: (user + system) / 1000, wall: performance.now() - wall };
}
