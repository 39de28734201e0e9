import { spawn } from 'node:child_process';
import { CountersignError, renewing, type AuthProvider, type AuthServices } from '@countersign/core';
import type { CommandOptions } from './options.js';
import { readOutput, type HelperCredential } from './output.js';

const DEADLINE_MS = 10_000;
const MAX_OUTPUT = 256 * 1024;

/** Runs a helper program for the headers, keeps them to their own expiry, and runs it again once on a 401. */
export function commandProvider({ command, cwd, ttl }: CommandOptions, services: AuthServices): AuthProvider {
  const [program = '', ...args] = command;
  const { server, clock } = services;

  async function obtain(): Promise<HelperCredential> {
    const fail = (what: string): never => {
      throw new CountersignError('CREDENTIAL_UNAVAILABLE', `The program ${program} of server ${server.name} ${what}.`, {
        server: server.name,
        remedy: `Run ${program} by hand to see what is wrong with it.`,
      });
    };
    const ended = await run(
      program,
      args,
      cwd === undefined ? services.path('.') : services.path(cwd),
      environment(services),
    );
    if ('problem' in ended) return fail(ended.problem);
    const read = readOutput(ended.output);
    if (typeof read === 'string') return fail(read);
    const expiresAt = read.expiresAt ?? (ttl === undefined ? undefined : clock.now() + ttl * 1000);
    if (expiresAt !== undefined && expiresAt <= clock.now()) return fail('gave a credential that has expired');
    for (const value of read.headers.values()) services.conceal(value);
    return { headers: read.headers, expiresAt };
  }

  const credential = renewing(obtain, clock);
  return {
    async authorize(request, signal) {
      const { headers } = await credential.get(signal);
      for (const [name, value] of headers) request.headers.set(name, value);
    },
    async challenge({ request, response }) {
      const { current } = credential;
      if (response.status !== 401 || !current) return false;
      const sent = [...current.headers].every(([name, value]) => request.headers.get(name) === value);
      if (!sent) return true; // renewed meanwhile
      credential.drop(current);
      const fresh = await credential.get();
      return [...fresh.headers].some(([name, value]) => request.headers.get(name) !== value);
    },
    refresh: () => credential.drop(),
    status: () => ({
      state: credential.current ? 'ready' : 'unused',
      source: `program ${program}`,
      ...(credential.current?.expiresAt === undefined ? {} : { expiresAt: new Date(credential.current.expiresAt) }),
      refreshable: true,
    }),
  };
}

/** What kubectl's and Claude Code's helpers look for, beside the environment. */
function environment({ env, server }: AuthServices): NodeJS.ProcessEnv {
  return {
    ...env,
    COUNTERSIGN_SERVER_NAME: server.name,
    COUNTERSIGN_SERVER_URL: server.url?.href ?? '',
    KUBERNETES_EXEC_INFO: JSON.stringify({
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      spec: { interactive: false },
    }),
  };
}

/** argv without a shell, no stdin, its stderr unread (it may hold anything); killed at the deadline. */
function run(
  program: string,
  args: readonly string[],
  cwd: string,
  env: NodeJS.ProcessEnv,
): Promise<{ output: string } | { problem: string }> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'ignore'], windowsHide: true });
    const chunks: Buffer[] = [];
    let size = 0;
    const stop = (problem: string): void => {
      child.kill('SIGKILL');
      child.stdout.destroy(); // a grandchild may hold it open
      resolve({ problem });
    };
    const timer = setTimeout(() => stop(`did not end within ${DEADLINE_MS / 1000} s`), DEADLINE_MS);
    child.stdout.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      if ((size += chunk.length) > MAX_OUTPUT) stop(`gave more than ${MAX_OUTPUT / 1024} KB`);
    });
    child.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      resolve({ problem: `can't be started (${error.code ?? 'unknown'})` });
    });
    child.on('close', (code, killed) => {
      clearTimeout(timer);
      resolve(
        code === 0 ? { output: Buffer.concat(chunks).toString('utf8') } : { problem: `ended with ${killed ?? code}` },
      );
    });
  });
}
