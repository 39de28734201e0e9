import ipaddr from 'ipaddr.js';
import { isLoopback } from './origin.js';

/**
 * Why a server must not send us to this host (R6): "a private address", or undefined for a public address or a name.
 * Takes a URL's `hostname` or an address. Names are checked again after DNS.
 */
export function addressProblem(hostname: string): string | undefined {
  const host = hostname
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '')
    .toLowerCase();
  if (isLoopback(host) || host.endsWith('.localhost')) return 'a loopback address';
  if (!ipaddr.isValid(host)) return undefined;
  const address = ipaddr.process(host); // an IPv4-mapped IPv6 address becomes IPv4
  const range = address.range();
  if (range === 'unicast') return undefined;
  if (range === 'linkLocal') return 'a link-local address';
  return range === 'private' || range === 'uniqueLocal' ? 'a private address' : `a ${range} address`;
}
