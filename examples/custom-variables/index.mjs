import { CountersignError, defineVariableSource } from '@countersign/core';

const KEPT = 60_000; // milliseconds

/** Answers `${vault.PATH.FIELD}` from a HashiCorp Vault's KV engine (version 2), named by VAULT_ADDR and VAULT_TOKEN. */
export function vault(env = process.env) {
  const cache = new Map();

  async function read(path) {
    const { VAULT_ADDR: address, VAULT_TOKEN: token } = env;
    if (!address || !token)
      throw new CountersignError('CREDENTIAL_UNAVAILABLE', 'Vault needs VAULT_ADDR and VAULT_TOKEN.');
    const response = await fetch(new URL(`/v1/secret/data/${path}`, address), {
      headers: { 'x-vault-token': token },
      redirect: 'error',
      signal: AbortSignal.timeout(10_000), // its own: the request that asked first may be aborted while others wait
    }).catch((error) => {
      throw new CountersignError('UNREACHABLE', `Vault at ${new URL(address).host} did not answer.`, { cause: error });
    });
    if (response.status === 404) return {};
    if (!response.ok)
      throw new CountersignError('CREDENTIAL_UNAVAILABLE', `Vault refuses secret/${path} (${response.status}).`);
    return (await response.json()).data.data;
  }

  function secret(path) {
    const known = cache.get(path);
    if (known && known.until > Date.now()) return known.fields;
    const fields = read(path);
    cache.set(path, { fields, until: Date.now() + KEPT });
    fields.catch(() => cache.delete(path)); // a failure is not kept
    return fields;
  }

  return {
    names: /^vault\.[\w-]+\.[\w-]+$/,
    async value(name, attempt) {
      const [, path, field] = name.split('.');
      const fields = attempt ? attempt.memo(cacheKey(path), () => secret(path)) : secret(path);
      return (await fields)[field];
    },
  };
}

/** One object for each path: what `memo` keeps within an attempt, so that two fields of one secret agree. */
const keys = new Map();
const cacheKey = (path) => keys.get(path) ?? keys.set(path, {}).get(path);

export default defineVariableSource('countersign-variables-vault', vault());
