import { spawn } from 'node:child_process';
import { CountersignError, type AuthServices, type Clock } from '@countersign/core';
import type { GitHubHost } from './hosts.js';

type Environment = AuthServices['env'];

const FOR_COM = ['GH_TOKEN', 'GITHUB_TOKEN'] as const;
const FOR_SERVER = ['GH_ENTERPRISE_TOKEN', 'GITHUB_ENTERPRISE_TOKEN'] as const;

/**
 * A token of the environment that belongs to the host. As for `gh`, GH_TOKEN and GITHUB_TOKEN are github.com's, unless GH_HOST
 * names a subdomain of ghe.com, or GITHUB_SERVER_URL (set in Actions) another GitHub; the enterprise ones are a server's.
 */
export function environmentToken(host: GitHubHost, env: Environment): { token: string; name: string } | undefined {
  const names: string[] = [];
  if (host.kind === 'server') {
    const other =
      env['GH_HOST'] && env['GH_HOST'] !== host.name && !/(?:^|\.)(?:github|ghe)\.com$/.test(env['GH_HOST']);
    if (!other) names.push(...FOR_SERVER);
  }
  if (home(env) === host.name) names.push(...FOR_COM);
  for (const name of names) {
    const token = env[name]?.trim();
    if (token) return { token, name };
  }
  return undefined;
}

function home(env: Environment): string {
  if (env['GH_HOST']?.endsWith('.ghe.com')) return env['GH_HOST'];
  const server = env['GITHUB_SERVER_URL'] ?? '';
  return URL.canParse(server) ? new URL(server).host : 'github.com';
}

const GH_DEADLINE = 5000; // ms

/**
 * What `gh auth token --hostname` prints; `undefined` where gh is missing or not signed in to the host. Throws TIMEOUT after
 * five seconds. gh doesn't see the tokens of the environment: it would answer github.com's for any subdomain of ghe.com.
 */
export async function ghToken(host: GitHubHost, env: Environment, clock: Clock): Promise<string | undefined> {
  const own: Record<string, string | undefined> = { ...env, GH_PROMPT_DISABLED: '1', GH_NO_UPDATE_NOTIFIER: '1' };
  for (const name of [...FOR_COM, ...FOR_SERVER]) delete own[name];
  const windows = process.platform === 'win32';
  const child = spawn('gh', ['auth', 'token', '--hostname', host.name], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: own,
    detached: !windows, // a group of its own, so that all of it can be ended
    windowsHide: true,
  });
  const end = (): void => {
    try {
      if (child.pid !== undefined && !windows) process.kill(-child.pid, 'SIGKILL');
      else child.kill();
    } catch {
      // gone already
    }
    child.stdout.destroy();
  };
  const done = new AbortController();
  try {
    return await new Promise<string | undefined>((resolve, reject) => {
      let output = '';
      child.stdout.setEncoding('utf8').on('data', (part: string) => (output = (output + part).slice(0, 4096)));
      child.on('error', () => resolve(undefined));
      child.on('close', (code) => resolve(code === 0 && /^[\x21-\x7e]+\s*$/.test(output) ? output.trim() : undefined));
      clock.sleep(GH_DEADLINE, done.signal, { ref: false }).then(
        () => {
          end();
          reject(
            new CountersignError('TIMEOUT', `gh did not answer within ${GH_DEADLINE / 1000} seconds.`, {
              remedy: `Run \`gh auth token --hostname ${host.name}\` by hand to see why, or set ${host.kind === 'server' ? FOR_SERVER[0] : FOR_COM[0]}.`,
            }),
          );
        },
        () => undefined,
      );
    });
  } finally {
    done.abort();
  }
}
