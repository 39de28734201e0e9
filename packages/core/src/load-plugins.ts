import { pathToFileURL } from 'node:url';
import { join, resolve } from 'node:path';
import { pluginProblem } from './container.js';
import { CountersignError } from './errors.js';
import type { Plugin } from './plugin.js';

/**
 * Loads plugins by package name or path, from the configuration's folder, then from `fallback` (a file URL: the program's own).
 * Throws PLUGIN_FAILED, which names the plugin and what failed.
 */
export async function loadPlugins(names: readonly string[], folder: string, fallback?: string): Promise<Plugin[]> {
  return Promise.all(names.map((name) => loadPlugin(name, folder, fallback)));
}

async function loadPlugin(name: string, folder: string, fallback: string | undefined): Promise<Plugin> {
  const url = await locate(name, folder, fallback);
  let module: { default?: unknown };
  try {
    module = (await import(url)) as { default?: unknown };
  } catch (error) {
    throw new CountersignError(
      'PLUGIN_FAILED',
      `The plugin ${name} failed to load: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
  const problem = pluginProblem(module.default);
  if (problem) throw new CountersignError('PLUGIN_FAILED', `${name} is not a Countersign plugin: ${problem}.`);
  return module.default as Plugin;
}

async function locate(name: string, folder: string, fallback: string | undefined): Promise<string> {
  if (/^\.{0,2}[/\\]|^[A-Za-z]:[/\\]|^\.\.?$/.test(name)) return pathToFileURL(resolve(folder, name)).href;
  const bases = [pathToFileURL(join(folder, 'configuration.json')).href, ...(fallback ? [fallback] : [])];
  const { resolve: importMetaResolve } = await import('import-meta-resolve'); // most configurations name no plugin
  let cause: unknown;
  for (const base of bases) {
    try {
      return importMetaResolve(name, base);
    } catch (error) {
      cause ??= error;
    }
  }
  throw new CountersignError('PLUGIN_FAILED', `The plugin ${name} is not installed (looked from ${folder}).`, {
    cause,
    remedy: `Run \`npm i ${name}\` in ${folder}.`,
  });
}
