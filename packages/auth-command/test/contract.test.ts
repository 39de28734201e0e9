import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from '@jest/globals';
import { testAuthProvider } from '@countersign/testing';
import command from '../src/index.js';

const TOKEN = 'token-of-the-contract';

describe('the provider of a command keeps the contract', () => {
  testAuthProvider(test, {
    plugin: command,
    async scenario() {
      const folder = await mkdtemp(join(tmpdir(), 'command-'));
      const [helper, token, runs] = [join(folder, 'helper.mjs'), join(folder, 'token'), join(folder, 'runs')];
      await writeFile(runs, '');
      await writeFile(token, TOKEN);
      await writeFile(
        helper,
        `import { appendFileSync, readFileSync } from 'node:fs';
        appendFileSync(${JSON.stringify(runs)}, 'x');
        process.stdout.write(readFileSync(${JSON.stringify(token)}));`,
      );
      let good = TOKEN;
      return {
        options: { command: [process.execPath, helper] },
        secrets: [TOKEN],
        accepts: ({ headers }) => headers['authorization'] === `Bearer ${good}`,
        revoke: () => writeFile(token, (good = `${TOKEN}-again`)),
        renewals: () => readFileSync(runs).length,
        cutOff: () => rm(token, { force: true }),
        dispose: () => rm(folder, { recursive: true, force: true }),
      };
    },
  });
});
