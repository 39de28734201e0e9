export { createAuthority } from './authority.mjs';
export { awsSigV4 } from './aws-sigv4.mjs';
export { startConnectProxy } from './connect-proxy.mjs';
export { closeEverything, everything, everythingCommand, startEverything } from './everything.mjs';
export { startGuard } from './guard.mjs';
export { signInAt, startOidc } from './oidc.mjs';
export { startCatcher, startRedirector } from './traps.mjs';
export { createUvx } from './uvx.mjs';
export { all, apiKey, bearer, clientCertificate, exactHeaders, json, unauthorized } from './verifiers.mjs';

/** @typedef {import('./authority.mjs').Authority} Authority */
/** @typedef {import('./authority.mjs').Certificate} Certificate */
/** @typedef {import('./guard.mjs').Guard} Guard */
/** @typedef {import('./guard.mjs').RecordedRequest} RecordedRequest */
/** @typedef {import('./guard.mjs').RequestHead} RequestHead */
/** @typedef {import('./guard.mjs').Verify} Verify */
/** @typedef {import('./oidc.mjs').Oidc} Oidc */
