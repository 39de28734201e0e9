import { fileURLToPath } from 'node:url';
import { bearer, closeEverything, everything, startGuard } from '@countersign/test-servers';
import { compare, cost } from '../measure.mjs';

const SERVERS = 50;

/** Connecting fifty servers at once with the SDK's client: over Countersign's transports, and over the SDK's own with a fixed header. */
export default async function connect({ rounds = 7 } = {}) {
  const guard = await startGuard({ target: (await everything()).url, verify: bearer('bench-token-0123456789') });
  const program = (/** @type {string} */ name) => [
    process.execPath,
    fileURLToPath(new URL(`../programs/connect-${name}.mjs`, import.meta.url)),
    guard.url.href,
    String(SERVERS),
  ];
  const options = { env: { BENCH_TOKEN: 'bench-token-0123456789' }, expect: `connected ${SERVERS}` };
  try {
    const { rows, ratio } = await compare({
      rounds,
      contestants: [
        { name: 'SDK alone', run: () => cost(program('sdk'), options) },
        { name: 'Countersign', run: () => cost(program('countersign'), options) },
      ],
    });
    return {
      title: `Connect ${SERVERS} servers`,
      rows,
      ratios: [
        { name: 'CPU, Countersign to the SDK alone', value: ratio('Countersign', 'SDK alone'), limit: 1, goal: 0.8 },
      ],
    };
  } finally {
    await guard.close();
    await closeEverything();
  }
}
