// Bundles the command line into dist/: one file for each command, what they share in chunks beside them.
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { URL } from 'node:url';
import { build } from 'esbuild';
import { lazyBuiltins } from '../../scripts/lazy-builtins.mjs';

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
  outdir: 'dist',
  metafile: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  splitting: true,
  conditions: ['@countersign/source', 'module'],
  mainFields: ['module', 'main'],
  external,
  define: { COUNTERSIGN_VERSION: JSON.stringify(version) },
  banner: { js: banner },
  legalComments: 'linked',
  minifySyntax: true,
  minifyWhitespace: true,
  logLevel: 'warning',
  plugins: [withoutAjv, lazyBuiltins],
};

const main = await build({ ...shared, entryPoints: ['src/main.ts'], chunkNames: 'chunks/[name]-[hash]' });

// The bridge apart from the rest, so that its start reads one file, and as CommonJS, which Node starts sooner: no loader of ES modules, and Node's own
// modules without all their lazy parts. What it imports later is ES modules in a folder beside it, with their own copy of what they share with it.
/** @type {Map<string, string>} Files by the name of their bundle. */
const later = new Map();
/** @type {import('esbuild').Plugin} */
const importedLater = {
  name: 'imported-later',
  setup({ onResolve, resolve }) {
    onResolve({ filter: /./ }, async ({ path, kind, resolveDir, pluginData }) => {
      if (kind !== 'dynamic-import' || pluginData === 'asked') return undefined;
      const found = await resolve(path, { kind, resolveDir, pluginData: 'asked' });
      if (found.external || found.errors.length > 0) return found;
      const name = path.replace(/^\W+|\.\w+$/g, '').replace(/\W+/g, '-');
      if ((later.get(name) ?? found.path) !== found.path)
        throw new Error(`Two files would be bridge-chunks/${name}.js.`);
      later.set(name, found.path);
      return { path: `./bridge-chunks/${name}.js`, external: true };
    });
  },
};
/** No command shows the schema of a configuration here. @type {import('esbuild').Plugin} */
const withoutJsonSchema = {
  name: 'without-json-schema',
  setup({ onLoad }) {
    onLoad({ filter: /zod[\\/]v4[\\/]core[\\/]json-schema-processors\.js$/ }, () => ({
      contents: 'export const toJSONSchema = () => ({}); export const allProcessors = {};',
    }));
  },
};
const bridge = await build({
  ...shared,
  entryPoints: ['src/bridge.ts'],
  format: 'cjs',
  splitting: false,
  minify: true,
  outExtension: { '.js': '.cjs' },
  define: { ...shared.define, 'import.meta.url': '__url' },
  banner: { js: "const __url = require('node:url').pathToFileURL(__filename).href;" },
  plugins: [...shared.plugins, withoutJsonSchema, importedLater],
});
const parts = await build({
  ...shared,
  entryPoints: Object.fromEntries(later),
  outdir: 'dist/bridge-chunks',
  chunkNames: '[name]-[hash]',
});

// What an earlier bundle left goes only once the new one is there.
const written = new Set([main, bridge, parts].flatMap(({ metafile }) => Object.keys(metafile.outputs)));
for (const folder of ['chunks', 'bridge-chunks']) {
  for (const file of await readdir(join(shared.absWorkingDir, 'dist', folder)).catch(() => [])) {
    if (!written.has(`dist/${folder}/${file}`))
      await rm(join(shared.absWorkingDir, 'dist', folder, file), { force: true });
  }
}
