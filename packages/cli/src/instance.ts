import awsSigV4 from '@countersign/auth-aws-sigv4';
import bearer from '@countersign/auth-bearer';
import command from '@countersign/auth-command';
import gcp from '@countersign/auth-gcp';
import github from '@countersign/auth-github';
import headers from '@countersign/auth-headers';
import hmac from '@countersign/auth-hmac';
import oauth from '@countersign/auth-oauth';
import {
  createCountersign,
  fileStore,
  loadPlugins,
  type Countersign,
  type CountersignOptions,
  type Plugin,
} from '@countersign/core';
import sse from '@countersign/transport-sse';
import stdio from '@countersign/transport-stdio';
import streamableHttp from '@countersign/transport-streamable-http';

/** The plugins that the command line brings. */
export const bundledPlugins: readonly Plugin[] = [
  bearer,
  headers,
  oauth,
  awsSigV4,
  gcp,
  github,
  hmac,
  command,
  streamableHttp,
  sse,
  stdio,
];

export interface InstanceOptions extends Omit<CountersignOptions, 'plugins' | 'store' | 'pluginsFallback'> {
  /** Names of --plugin, looked for from the working folder. */
  readonly plugin?: readonly string[] | undefined;
}

/** An instance with the bundled plugins, those of --plugin, and the file store. */
export async function openInstance({ plugin = [], ...options }: InstanceOptions): Promise<Countersign> {
  const named = await loadPlugins(plugin, process.cwd(), import.meta.url);
  return createCountersign({
    ...options,
    plugins: [...bundledPlugins, ...named],
    store: fileStore(options.log ? { log: options.log } : {}),
    pluginsFallback: import.meta.url,
  });
}
