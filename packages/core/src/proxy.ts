import { isLoopback } from './origin.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** The proxy for a URL by HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY (lower case first, as curl). This machine and link-local addresses are asked directly. */
export function proxyFor(url: URL, env: Environment): URL | undefined {
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  if (isLoopback(host) || host.startsWith('169.254.') || host.startsWith('fe80:')) return undefined;
  const scheme = url.protocol.slice(0, -1);
  const value = read(env, `${scheme}_proxy`) ?? read(env, 'all_proxy');
  if (!value || exempt(host, url.port || (scheme === 'https' ? '443' : '80'), read(env, 'no_proxy') ?? ''))
    return undefined;
  return new URL(/^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`);
}

function read(env: Environment, name: string): string | undefined {
  return env[name] || env[name.toUpperCase()] || undefined;
}

/** NO_PROXY: names apart by commas or spaces; `*`, `host`, `.suffix`, `*.suffix`, each with an optional `:port`. A bare name covers its subdomains, as in curl. */
function exempt(host: string, port: string, list: string): boolean {
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .filter(Boolean)
    .some((entry) => {
      if (entry === '*') return true;
      const withPort = /^(.+):(\d+)$/.exec(entry);
      if (withPort && !withPort[1]?.includes(':') && withPort[2] !== port) return false;
      const name = (withPort && !withPort[1]?.includes(':') ? (withPort[1] ?? entry) : entry)
        .replace(/^\*?\./, '')
        .replace(/^\[|\]$/g, '');
      return host === name || host.endsWith(`.${name}`);
    });
}
