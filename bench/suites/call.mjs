import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bearer, closeEverything, everything, startGuard } from '@countersign/test-servers';
import { compare, cost } from '../measure.mjs';
import { countersign, mcporter, node24 } from '../programs/paths.mjs';

/** One call of one tool from a cold start: what a script pays. All on one Node, against one server that wants a bearer token. */
export default async function call({ rounds = 11 } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-bench-'));
  const guard = await startGuard({ target: (await everything()).url, verify: bearer('bench-token-0123456789') });
  const file = join(folder, 'servers.json');
  writeFileSync(
    file,
    JSON.stringify({
      mcpServers: { everything: { url: guard.url.href, headers: { Authorization: 'Bearer ${BENCH_TOKEN}' } } },
    }),
  );
  const options = { env: { BENCH_TOKEN: 'bench-token-0123456789', HOME: folder }, expect: 'Echo: hi' };
  try {
    const { rows, ratio } = await compare({
      rounds,
      contestants: [
        { name: 'node -e 0', run: () => cost([node24, '-e', '0']) },
        {
          name: 'countersign call',
          run: () => cost([node24, countersign, '--config', file, 'call', 'everything', 'echo', 'message=hi'], options),
        },
        {
          name: 'mcporter call',
          run: () => cost([node24, mcporter, '--config', file, 'call', 'everything.echo', 'message=hi'], options),
        },
      ],
    });
    return {
      title: 'One-shot call',
      rows,
      ratios: [
        {
          name: 'CPU, countersign to mcporter',
          value: ratio('countersign call', 'mcporter call'),
          limit: 0.6,
          goal: 0.35,
        },
      ],
    };
  } finally {
    await guard.close();
    await closeEverything();
    rmSync(folder, { recursive: true });
  }
}
