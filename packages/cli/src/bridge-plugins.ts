import type { Plugin } from '@countersign/core';

type Load = () => Promise<{ readonly default: Plugin }>;

/** The bundled providers, each with the words that betray its use: its method, and the variables that it computes. */
const PROVIDERS: readonly (readonly [uses: RegExp, load: Load])[] = [
  [/headers/, () => import('@countersign/auth-headers')],
  [/bearer/, () => import('@countersign/auth-bearer')],
  [/oauth/i, () => import('@countersign/auth-oauth')],
  [/aws[-_]sigv4|AWS_|TIMESTAMP/, () => import('@countersign/auth-aws-sigv4')],
  [/hmac|HMAC_/, () => import('@countersign/auth-hmac')],
  [/"command"/, () => import('@countersign/auth-command')],
  [/gcp|GCP_|GOOGLE_/, () => import('@countersign/auth-gcp')],
  [/github|GITHUB_|GH_TOKEN/i, () => import('@countersign/auth-github')],
];

/** Loads the providers that a configuration's text can need, and no other: a start reads only what it uses. */
export async function pluginsFor(text: string): Promise<Plugin[]> {
  const loading = PROVIDERS.filter(([uses]) => uses.test(text)).map(([, load]) => load());
  return (await Promise.all(loading)).map((module) => module.default);
}
