import 'reflect-metadata/lite';
import { container as root, type DependencyContainer } from 'tsyringe';
import { CountersignError } from './errors.js';
import type { Plugin } from './plugin.js';

/** A container of an instance's own, with the plugins' registrations. The global one is never written. Throws PLUGIN_FAILED, which names the plugin. */
export function createContainer(plugins: readonly Plugin[]): DependencyContainer {
  const container = root.createChildContainer();
  for (const plugin of new Set(plugins)) {
    const problem = pluginProblem(plugin);
    if (problem)
      throw new CountersignError('PLUGIN_FAILED', `${nameOf(plugin)} is not a Countersign plugin: ${problem}.`);
    try {
      plugin.register(container);
    } catch (error) {
      throw new CountersignError(
        'PLUGIN_FAILED',
        `The plugin ${plugin.name} failed to register: ${(error as Error).message}`,
        { cause: error },
      );
    }
  }
  return container;
}

/** What is wrong with a value that should be a plugin, or undefined. */
export function pluginProblem(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return 'its default export is not an object';
  const { name, apiVersion, register } = value as Partial<Plugin>;
  if (typeof name !== 'string' || name === '') return 'it has no name';
  if (apiVersion !== 1)
    return `its apiVersion is ${JSON.stringify(apiVersion) ?? 'missing'}, and this version of Countersign knows 1`;
  return typeof register === 'function' ? undefined : 'it has no register function';
}

const nameOf = (plugin: Plugin): string =>
  typeof plugin === 'object' && typeof plugin?.name === 'string' && plugin.name ? plugin.name : 'A plugin';
