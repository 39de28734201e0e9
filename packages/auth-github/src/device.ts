import {
  CountersignError,
  hashKey,
  isCountersignError,
  isLoopback,
  type AuthServices,
  type EndpointFetch,
  type Interaction,
} from '@countersign/core';
import type { GitHubHost } from './hosts.js';

/** A sign-in as it is stored. Times are milliseconds by the local clock. */
export interface SignIn {
  readonly host: string;
  readonly clientId: string;
  readonly token: string;
  readonly scopes: readonly string[];
  readonly expiresAt?: number;
  readonly refreshToken?: string;
  /** Why a person must sign in again. */
  readonly ended?: string;
}

/** The sign-in of a person by the device flow (RFC 8628), at one GitHub with one client. */
export interface DeviceSignIn {
  /** The stored sign-in, of this host and client only. */
  load(): Promise<SignIn | undefined>;
  /** Spends the refresh token for the next pair, once among all processes; answers what is stored then. Throws LOGIN_REQUIRED. */
  refresh(stale: string): Promise<SignIn>;
  /** Remembers that GitHub refuses the sign-in, so that no process sends it again. */
  end(token: string, reason: string): Promise<void>;
  login(interaction: Interaction, scopes: readonly string[], signal: AbortSignal | undefined): Promise<SignIn>;
  logout(): Promise<void>;
}

const YEAR = 31_536_000;
const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

export function deviceSignIn(
  clientId: string,
  host: GitHubHost,
  services: AuthServices,
  endpoint: EndpointFetch,
): DeviceSignIn {
  const { tokens, clock } = services;
  const key = `device-${hashKey(host.name, host.web, clientId)}`;
  const intentKey = `${key}.intent`;

  function read(text: string | undefined): SignIn | undefined {
    if (text === undefined) return undefined;
    let stored: SignIn;
    try {
      stored = JSON.parse(text) as SignIn;
    } catch {
      return undefined;
    }
    if (stored.host !== host.name || stored.clientId !== clientId || typeof stored.token !== 'string') return undefined;
    for (const secret of [stored.token, stored.refreshToken]) if (secret !== undefined) services.conceal(secret);
    return stored;
  }

  async function post(path: string, form: Record<string, string>): Promise<Record<string, unknown>> {
    const response = await endpoint.fetch(host.web + path, {
      method: 'POST',
      headers: { accept: 'application/json', 'user-agent': 'countersign' },
      body: new URLSearchParams({ client_id: clientId, ...form }),
    });
    if (response.status >= 500)
      throw new CountersignError('SERVER_ERROR', `${new URL(host.web).host} answered ${response.status}.`, {
        status: response.status,
      });
    const data = (await response.json().catch(() => undefined)) as Record<string, unknown> | undefined;
    if (typeof data !== 'object' || data === null)
      throw new CountersignError(
        'LOGIN_FAILED',
        `${new URL(host.web).host} answered ${response.status} to a sign-in, without JSON.`,
      );
    return data;
  }

  function signInOf(data: Record<string, unknown>, scopes: readonly string[]): SignIn {
    const { access_token: token, refresh_token: refreshToken, expires_in: seconds, scope } = data;
    if (typeof token !== 'string' || token === '')
      throw new CountersignError('LOGIN_FAILED', 'GitHub answered without a token.');
    const granted = typeof scope === 'string' ? scope.split(/[\s,]+/).filter(Boolean) : scopes;
    services.conceal(token);
    if (typeof refreshToken === 'string') services.conceal(refreshToken);
    const life = Number(seconds);
    return {
      host: host.name,
      clientId,
      token,
      scopes: granted,
      ...(life > 0 ? { expiresAt: clock.now() + Math.min(life, YEAR) * 1000 } : {}),
      ...(typeof refreshToken === 'string' && refreshToken ? { refreshToken } : {}),
    };
  }

  const required = (reason: string): CountersignError =>
    new CountersignError('LOGIN_REQUIRED', `Server ${services.server.name}: ${reason}.`, {
      server: services.server.name,
      remedy: `Run \`countersign login ${services.server.name}\`.`,
    });

  /** Inside the lock. The intent tells whoever comes after a crash that the refresh token may be spent already. */
  async function renew(current: SignIn): Promise<SignIn> {
    const { refreshToken } = current;
    if (refreshToken === undefined)
      return { ...current, ended: 'the sign-in has expired, and GitHub gave no refresh token' };
    const spent = hashKey(refreshToken);
    if ((await tokens.get(intentKey)) === spent)
      return { ...current, ended: 'a renewal of the sign-in was cut off, so its refresh token may be used up' };
    await tokens.update(intentKey, async () => spent);
    try {
      const data = await post('/login/oauth/access_token', {
        grant_type: 'refresh_token',
        refresh_token: refreshToken,
      });
      if (typeof data['error'] === 'string')
        return { ...current, ended: `GitHub refuses to renew the sign-in (${word(data['error'])})` };
      return signInOf(data, current.scopes);
    } catch (error) {
      // Nothing was sent, or nothing was done: the refresh token is as good as before.
      if (isCountersignError(error, 'UNREACHABLE', 'SERVER_ERROR')) await tokens.delete(intentKey);
      throw error;
    }
  }

  return {
    load: async () => read(await tokens.get(key)),

    async refresh(stale) {
      const text = await tokens.update(key, async (stored) => {
        const current = read(stored);
        if (!current || current.ended !== undefined || current.token !== stale) return stored; // another process was first
        return JSON.stringify(await renew(current));
      });
      const current = read(text);
      if (!current) throw required('nobody is signed in');
      if (current.ended !== undefined) throw required(current.ended);
      await tokens.delete(intentKey);
      return current;
    },

    async end(token, reason) {
      await tokens.update(key, async (stored) => {
        const current = read(stored);
        return current?.token === token ? JSON.stringify({ ...current, ended: reason }) : stored;
      });
    },

    async login(interaction, scopes, signal) {
      const code = await post('/login/device/code', scopes.length > 0 ? { scope: scopes.join(' ') } : {});
      if (typeof code['error'] === 'string')
        throw failed(
          word(code['error']),
          code['error'] === 'device_flow_disabled'
            ? 'Enable the device flow in the settings of the App.'
            : 'Check "clientId".',
        );
      const { device_code: deviceCode, user_code: userCode, verification_uri: uri } = code;
      if (typeof deviceCode !== 'string' || typeof userCode !== 'string' || !/^[\w-]{1,40}$/.test(userCode))
        throw failed('the answer has no code');
      services.conceal(deviceCode);
      const life = positive(code['expires_in'], 900);
      const end = clock.now() + life * 1000;
      interaction.tell({ type: 'device', verificationUri: shown(uri), userCode, expiresAt: new Date(end) });
      let interval = positive(code['interval'], 5);
      for (;;) {
        await clock.sleep(interval * 1000, signal).catch((error: unknown) => {
          throw (signal?.reason as Error | undefined) ?? error;
        });
        if (clock.now() >= end) throw failed('nobody entered the code in time');
        const data = await post('/login/oauth/access_token', { grant_type: DEVICE_GRANT, device_code: deviceCode });
        const { error } = data;
        if (error === 'authorization_pending') continue;
        if (error === 'slow_down') {
          interval = Math.max(interval + 5, positive(data['interval'], 0));
          continue;
        }
        if (error === 'access_denied') throw failed('the sign-in was denied');
        if (error === 'expired_token') throw failed('nobody entered the code in time');
        if (typeof error === 'string') throw failed(word(error));
        const signIn = signInOf(data, scopes);
        await tokens.update(key, async () => JSON.stringify(signIn));
        await tokens.delete(intentKey);
        return signIn;
      }
    },

    async logout() {
      await tokens.update(key, async () => undefined);
      await tokens.delete(intentKey);
    },
  };

  function failed(fact: string, remedy = `Run \`countersign login ${services.server.name}\` again.`): CountersignError {
    return new CountersignError('LOGIN_FAILED', `Sign-in at ${host.name} failed: ${fact}.`, {
      remedy,
      server: services.server.name,
    });
  }

  /** R1: only an http(s) URL is shown, and as we write it. */
  function shown(uri: unknown): string {
    const url = typeof uri === 'string' && URL.canParse(uri) ? new URL(uri) : undefined;
    if (
      !url ||
      url.username ||
      url.password ||
      (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback(url.hostname)))
    )
      throw new CountersignError(
        'UNSAFE_URL',
        `${host.name} named a sign-in page that is not an https URL; it is not shown.`,
      );
    return url.href;
  }
}

const word = (text: string): string => (/^[\w-]{1,60}$/.test(text) ? text : 'an unknown error');

function positive(value: unknown, standard: number): number {
  const number = Number(value);
  return number > 0 && number <= 86_400 ? number : standard;
}
