// Bundles the command line into dist/: one file for each command, what they share in chunks beside them.
import { readFile, rm } from 'node:fs/promises';
import { URL } from 'node:url';
import { build } from 'esbuild';

const dist = new URL('dist/', import.meta.url);
const { version } = JSON.parse(await readFile(new URL('package.json', import.meta.url), 'utf8'));
const external = ['google-auth-library', '@octokit/*', '@aws-sdk/*'];

// CommonJS dependencies call require() for Node's own modules, which an ES module has to make for them.
const banner =
  "import { createRequire as __createRequire } from 'node:module';\nconst require = __createRequire(import.meta.url);";

// The SDK's client loads Ajv to validate structured results, which the command line shows as they are: connection.ts passes its own validator.
/** @type {import('esbuild').Plugin} */
const withoutAjv = {
  name: 'without-ajv',
  setup({ onLoad }) {
    onLoad({ filter: /sdk[\\/]dist[\\/]esm[\\/]validation[\\/]ajv-provider\.js$/ }, () => ({
      contents: 'export class AjvJsonSchemaValidator {}',
    }));
  },
};

/** @type {import('esbuild').BuildOptions} */
const shared = {
  absWorkingDir: import.meta.dirname,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  splitting: true,
  conditions: ['@countersign/source'],
  mainFields: ['module', 'main'],
  external,
  define: { COUNTERSIGN_VERSION: JSON.stringify(version) },
  banner: { js: banner },
  legalComments: 'linked',
  minifySyntax: true,
  minifyWhitespace: true,
  logLevel: 'warning',
  plugins: [withoutAjv],
};

for (const name of ['chunks', 'main.js', 'bridge.js', 'bridge-chunks'])
  await rm(new URL(name, dist), { recursive: true, force: true });
await build({ ...shared, entryPoints: ['src/main.ts'], outdir: 'dist', chunkNames: 'chunks/[name]-[hash]' });
// Apart from the rest, so that the bridge's start reads one file and what it shares with nothing else.
await build({ ...shared, entryPoints: ['src/bridge.ts'], outdir: 'dist', chunkNames: 'bridge-chunks/[name]-[hash]' });
