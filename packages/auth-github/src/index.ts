import { defineAuthProvider, type AuthProviderDefinition } from '@countersign/core';
import { createGitHub } from './github.js';
import { githubOptions, listOf, type GitHubOptions } from './options.js';

/** GitHub credentials: App installation tokens, tokens of the environment and of gh, sign-in by the device flow. */
export const github: AuthProviderDefinition<GitHubOptions> = {
  type: 'github',
  options: githubOptions,
  variables: ['GITHUB_TOKEN', 'GH_TOKEN'],
  sets: ({ toolsets, readOnly }) => [
    'authorization',
    ...(listOf(toolsets).length > 0 ? ['x-mcp-toolsets'] : []),
    ...(readOnly ? ['x-mcp-readonly'] : []),
  ],
  create: (options, services) => createGitHub(options, services),
};

export default defineAuthProvider('@countersign/auth-github', github);
export { createGitHub } from './github.js';
export { normalisePrivateKey } from './private-key.js';
export { githubOptions, type GitHubOptions } from './options.js';
