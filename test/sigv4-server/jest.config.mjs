import base from '../../jest.config.mjs';

const project = base.projects.find(({ displayName }) => displayName === 'auth-aws-sigv4');

/** Beside the unit tests: servers and signers that Debian packages, which not every machine has. @type {import('jest').Config} */
export default {
  ...project,
  displayName: 'sigv4-server',
  rootDir: import.meta.dirname,
  testMatch: ['<rootDir>/*.test.mjs'],
  testTimeout: 120_000,
};
