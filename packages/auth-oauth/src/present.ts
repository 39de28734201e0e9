import type { JWK } from 'jose';
import { dpopKey, type DpopKey } from './dpop.js';

/** Keeps the one live key of a stored JWK, with the nonces that it has learned. */
export function presenter(): (jwk: JWK) => Promise<DpopKey> {
  let current: { x: string | undefined; key: Promise<DpopKey> } | undefined;
  return (jwk) => {
    if (!current || current.x !== jwk.x) current = { x: jwk.x, key: dpopKey(jwk) };
    return current.key;
  };
}
