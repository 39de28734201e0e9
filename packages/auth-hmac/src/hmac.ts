import { createHash, createHmac } from 'node:crypto';
import { CountersignError, type AuthProvider, type AuthServices, type OutgoingRequest } from '@countersign/core';
import type { HmacOptions } from './options.js';

/** Signs a message that the configuration composes (RFC 2104), and sets the headers that carry the signature. */
export function hmacProvider(options: HmacOptions, services: AuthServices): AuthProvider {
  const key = Buffer.from(options.secret, options.secretEncoding);
  const message = services.template(options.message);
  const headers = Object.entries(options.headers).map(([name, text]) => ({ name, bound: services.template(text) }));
  const circular = message.template.references.some(({ name }) => name === 'HMAC_SIGNATURE');
  if (circular) {
    throw new CountersignError(
      'AUTH_OPTIONS_INVALID',
      `The "message" of auth method hmac of server ${services.server.name} holds its own signature.`,
    );
  }

  async function sign(request: OutgoingRequest, signal: AbortSignal | undefined): Promise<string> {
    const text = (await message.render('The message to sign', request, signal)) ?? '';
    return createHmac(options.algorithm, key).update(text).digest(options.encoding);
  }

  return {
    async authorize(request, signal) {
      for (const { name, bound } of headers) {
        const value = await bound.render(`Header ${name}`, request, signal);
        if (value !== undefined) request.headers.set(name, value);
      }
    },
    variable(name, request, signal) {
      if (!request) return undefined;
      const { attempt, body = '' } = request;
      if (name === 'HMAC_SIGNATURE') return attempt.memo(key, () => sign(request, signal));
      if (name === 'HMAC_NONCE') return attempt.nonce;
      if (name === 'HMAC_TIMESTAMP') return written(attempt.time, options.timestamp);
      if (name === 'HMAC_BODY_HASH') return createHash(options.algorithm).update(body).digest(options.encoding);
      return text(body, services.server.name);
    },
    status: () => ({ state: 'ready', source: `hmac-${options.algorithm} over ${options.message}` }),
  };
}

function written(time: Date, form: HmacOptions['timestamp']): string {
  if (form === 'iso') return time.toISOString();
  return String(form === 'seconds' ? Math.floor(time.getTime() / 1000) : time.getTime());
}

/** The body within a message, which is text: bytes that are not UTF-8 would be signed as something else. */
function text(body: string | Uint8Array, server: string): string {
  if (typeof body === 'string') return body;
  const decoded = Buffer.from(body).toString('utf8');
  if (Buffer.from(decoded).equals(body)) return decoded;
  throw new CountersignError('UNRESOLVED_VARIABLE', `The body of a request to server ${server} is not text.`, {
    server,
    remedy: 'Sign ${HMAC_BODY_HASH} instead of ${HMAC_BODY}.',
  });
}
