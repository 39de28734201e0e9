import { execFileSync } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath, URL } from 'node:url';

// The tests spawn the bin, which is the bundle: of today's sources.
export default () => {
  execFileSync(process.execPath, [fileURLToPath(new URL('../bundle.mjs', import.meta.url))], { stdio: 'inherit' });
};
