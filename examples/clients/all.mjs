// Runs every script of this folder, one after the other.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

for (const name of ['sdk-v1', 'sdk-v2', 'ai-sdk', 'signed-http']) {
  console.log(`\n# ${name}`);
  const script = fileURLToPath(new URL(`./${name}.mjs`, import.meta.url));
  const code = await new Promise((resolve) =>
    spawn(process.execPath, [script], { stdio: 'inherit' }).on('close', resolve),
  );
  if (code !== 0) {
    console.error(`${name} ended with ${code}`);
    process.exitCode = 1;
  }
}
