import {
  CountersignError,
  isCountersignError,
  type AuthProvider,
  type AuthServices,
  type OutgoingRequest,
} from '@countersign/core';
import type { HeadersOptions } from './options.js';

/** Sets headers from templates, rendered per attempt. `Accept` is appended to the transport's own. A header that is `${NAME}` alone, without a value, is left out. */
export function headersProvider({ headers }: HeadersOptions, services: AuthServices): AuthProvider {
  const templates = Object.entries(headers).map(([name, value]) => ({ name, bound: services.template(value) }));

  async function set(
    { name, bound }: (typeof templates)[number],
    request: OutgoingRequest,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const value = await bound.render(`Header ${name}`, request, signal);
    if (value === undefined) return;
    try {
      if (name.toLowerCase() === 'accept') request.headers.append(name, value);
      else request.headers.set(name, value);
    } catch (error) {
      if (!isCountersignError(error, 'INVALID_HEADER')) throw error;
      const from = bound.template.references.map((reference) => `\${${reference.name}}`).join(', ');
      throw new CountersignError(
        'INVALID_HEADER',
        from ? `${error.message.slice(0, -1)} (it comes from ${from}).` : error.message,
      );
    }
  }

  return {
    async authorize(request, signal) {
      for (const template of templates) await set(template, request, signal);
    },
    status: () => ({ state: 'ready', source: `headers ${Object.keys(headers).join(', ')}` }),
  };
}
