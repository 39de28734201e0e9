import { compare, cost } from '../measure.mjs';
import { countersign } from '../programs/paths.mjs';

/** What a start costs before any work. */
export default async function version({ rounds = 21 } = {}) {
  const { rows, ratio } = await compare({
    rounds,
    contestants: [
      { name: 'node -e 0', run: () => cost([process.execPath, '-e', '0']) },
      { name: 'countersign --version', run: () => cost([process.execPath, countersign, '--version'], { expect: '.' }) },
    ],
  });
  return {
    title: 'Start',
    rows,
    ratios: [{ name: 'CPU, --version to the floor', value: ratio('countersign --version', 'node -e 0'), limit: 1.3 }],
  };
}
