/** Modules of Node's that take a millisecond or so to load, and that most runs of a command don't need, or not before they have something to do. */
const LAZY = ['child_process', 'crypto', 'dns', 'fs/promises', 'http', 'https', 'tls', 'zlib'];

/**
 * An esbuild plugin that loads these modules when our code first calls one of their functions, or reads a member of their default export or of
 * `constants`. Dependencies, which may extend their classes, get node:http itself, but not by an `import`: that reads each export, and since Node 22 the
 * lazy ones of node:http load all of fetch and WebSocket.
 * @type {import('esbuild').Plugin}
 */
export const lazyBuiltins = {
  name: 'lazy-builtins',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: new RegExp(`^(node:)?(${LAZY.join('|')})$`) }, ({ path, importer }) => {
      const name = path.replace(/^node:/, '');
      if (!/[\\/]node_modules[\\/]/.test(importer))
        return { path: name, namespace: 'lazy-builtin', sideEffects: false };
      return name === 'http' ? { path: name, namespace: 'builtin' } : undefined;
    });
    onLoad({ filter: /./, namespace: 'lazy-builtin' }, async ({ path }) => ({ contents: await facade(path) }));
    onLoad({ filter: /./, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule('node:${path}');`,
    }));
  },
};

/** @param {string} name */
async function facade(name) {
  const { default: builtin } = await import(`node:${name}`);
  const lines = [
    `const load = () => process.getBuiltinModule('node:${name}');`,
    'const lazy = (read) => new Proxy({}, { get: (_, key) => read()[key], has: (_, key) => key in read() });',
    'export default /* @__PURE__ */ lazy(load);',
  ];
  for (const [key, value] of Object.entries(builtin)) {
    if (typeof value === 'function')
      lines.push(
        `export function ${key}(...args) { const made = load().${key}; return new.target ? new made(...args) : made(...args); }`,
      );
    else if (key === 'constants') lines.push('export const constants = /* @__PURE__ */ lazy(() => load().constants);');
  }
  return lines.join('\n');
}
