// Bundles core into dist/index.js with what it stands on, and what it needs only sometimes into chunks beside it: a program that imports it reads a
// few files instead of a hundred. zod stays outside, since schemas come from plugins, and the MCP SDK has loaded it already.
import { rm } from 'node:fs/promises';
import { URL } from 'node:url';
import { build } from 'esbuild';
import { lazyBuiltins } from '../../scripts/lazy-builtins.mjs';

await rm(new URL('dist/chunks', import.meta.url), { recursive: true, force: true });
await build({
  absWorkingDir: import.meta.dirname,
  entryPoints: ['src/index.ts'],
  outdir: 'dist',
  chunkNames: 'chunks/[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  mainFields: ['module', 'main'],
  external: ['zod'],
  sourcemap: true,
  sourcesContent: false,
  legalComments: 'linked',
  keepNames: true,
  logLevel: 'warning',
  plugins: [lazyBuiltins],
});
