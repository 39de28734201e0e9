import { CountersignError } from '@countersign/core';
import { startCallbackServer, type CallbackServer } from './callback-server.js';
import type { OAuthContext } from './context.js';
import { portHolder } from './port-holder.js';
import type { Registration } from './registration.js';
import { isLoopback } from './trust.js';

/** Where the browser comes back: the URI that the server is told, and the listener, unless only a pasted URL can arrive. */
export interface Redirect {
  readonly uri: string;
  readonly listener: CallbackServer | undefined;
}

const PREFERRED_PORT = 3000;

/**
 * Starts the callback server. A taken port is replaced by a free one where the client is registered anew with it (R8);
 * else throws CALLBACK_SERVER_FAILED, which says what holds the port.
 */
export async function openRedirect({ options }: OAuthContext, registration: Registration): Promise<Redirect> {
  const { redirectUri, callbackPort, callbackHost = 'localhost' } = options;
  const at = (port: number): string => `http://${callbackHost}:${port}/callback`;
  if (redirectUri !== undefined) {
    const url = new URL(redirectUri);
    if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback(url)))
      throw new CountersignError('AUTH_OPTIONS_INVALID', `"redirectUri" must be an https URL, or http on loopback.`);
    const port =
      callbackPort ?? (isLoopback(url) ? Number(url.port || (url.protocol === 'https:' ? 443 : 80)) : undefined);
    return {
      uri: redirectUri,
      listener: port === undefined ? undefined : await start(port, `${url.protocol}//${url.host}`),
    };
  }
  const port = callbackPort ?? PREFERRED_PORT;
  const listener = await start(port, at(port).replace('/callback', ''), registration === 'dynamic');
  return { uri: at(listener.port), listener };
}

async function start(port: number, shown: string, mayMove = false): Promise<CallbackServer> {
  try {
    return await startCallbackServer(port);
  } catch (cause) {
    if (mayMove) return startCallbackServer(0);
    const { code } = cause as NodeJS.ErrnoException;
    const holder = code === 'EADDRINUSE' ? await portHolder(port) : undefined;
    const why =
      code === 'EADDRINUSE'
        ? `the port is taken${holder ? ` by ${holder}` : ''}`
        : `the system answers ${code ?? 'an error'}`;
    throw new CountersignError('CALLBACK_SERVER_FAILED', `Failed to start OAuth callback server on ${shown}: ${why}.`, {
      cause,
    });
  }
}
