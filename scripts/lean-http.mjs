/**
 * An esbuild plugin that gets node:http by process.getBuiltinModule. An `import` reads each export of a module, lazy ones too: since Node 22 those of
 * node:http load all of fetch and WebSocket, a tenth of what a command costs.
 * @type {import('esbuild').Plugin}
 */
export const leanHttp = {
  name: 'lean-http',
  setup(build) {
    build.onResolve({ filter: /^(node:)?http$/ }, () => ({ path: 'node:http', namespace: 'lean-http' }));
    build.onLoad({ filter: /.*/, namespace: 'lean-http' }, () => ({
      contents: "module.exports = process.getBuiltinModule('node:http');",
    }));
  },
};
