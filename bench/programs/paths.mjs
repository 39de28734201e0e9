import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The command line under test, as it is published. */
export const countersign = path('../../packages/cli/bin/countersign.js');
export const mcporter = path('../node_modules/mcporter/dist/cli.js');

/** The Node that mcporter needs: this one if it is new enough, else the one installed here. */
export const node24 =
  Number(process.versions.node.split('.')[0]) >= 24 ? process.execPath : path('../node_modules/node24/bin/node');
if (!existsSync(node24)) throw new Error('mcporter needs Node 24: run this with it.');

/** @param {string} relative */
function path(relative) {
  return fileURLToPath(new URL(relative, import.meta.url));
}
