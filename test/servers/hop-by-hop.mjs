const HOP_BY_HOP = [
  'connection',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];

/**
 * The headers that a proxy passes on: all but those of one connection (RFC 9110 7.6.1).
 * @param {import('node:http').IncomingHttpHeaders} headers
 */
export function forwardableHeaders(headers) {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.includes(name)));
}
