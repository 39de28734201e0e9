import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { createPlace, type Place, type Running } from './support/countersign.js';
import { freePort, startDemo, type Demo } from './support/oauth-demo.js';

jest.setTimeout(60_000); // Each test starts processes, on a machine that may be busy.

let place: Place;
let demo: Demo;
let config: string;
let callbackPort: number;

beforeAll(async () => {
  place = await createPlace();
  demo = await startDemo();
  callbackPort = await freePort();
  config = await place.configure({ acme: { url: `http://${demo.host}/mcp`, auth: { method: 'oauth', callbackPort } } });
});

afterAll(async () => {
  demo.close();
  await place.remove();
});

beforeEach(() => place.run(['--config', config, 'logout', 'acme']));

const words = (...more: string[]) => ['--config', config, ...more];
const countersign = (...more: string[]) => place.run(words(...more));

describe('login', () => {
  test('prints the URL alone on its line, listens with stdin at its end, and keeps the credential', async () => {
    const running = place.start(words('login', 'acme', '--no-browser', '--debug'));
    await fetch(await shownUrl(running));
    const { code, stdout, stderr } = await running.ended;
    expect(code).toBe(0);
    expect(stderr).toContain(`debug acme: oauth POST http://${demo.authority}/token -> 200\n`);
    expect(stdout).toContain(`Started callback server on http://localhost:${callbackPort}\n`);
    expect(stdout).toContain(`ssh -L ${callbackPort}:localhost:${callbackPort} `);
    expect(stdout).toContain('OAuth authentication successful\n');

    expect(await countersign('call', 'acme', 'greet', 'name=Ada')).toMatchObject({
      code: 0,
      stdout: 'Hello, Ada!\n',
      stderr: '',
    });
    const who = await countersign('whoami', 'acme', '--json');
    expect(who.json).toMatchObject({
      server: 'acme',
      profile: 'default',
      method: 'oauth',
      state: 'ready',
      scopes: ['mcp:tools'],
      usage: { requests: 0 },
    });
    expect((await countersign('connections')).stdout).toMatch(
      /^acme +streamable-http +oauth +ready .*expires in \d+ min/m,
    );
  });

  test('takes the pasted callback URL from a pipe, and tells when a line is none', async () => {
    const running = place.start(words('login', 'acme', '--no-browser'), { input: null });
    const { headers } = await fetch(await shownUrl(running), { redirect: 'manual' });
    running.child.stdin?.write('something else\n');
    await running.shows('That is not the answer of this sign-in');
    running.child.stdin?.write(`${headers.get('location')}\n`); // and stays open
    expect(await running.ended).toMatchObject({ code: 0, stderr: '' });
  });

  test('hands the system’s opener the URL as its one argument', async () => {
    const running = place.start(words('login', 'acme'), {
      env: { PATH: await opener('printf "%s\\n" "$#" "$1" > "$HOME/opened"') },
    });
    const url = await shownUrl(running);
    await fetch(url);
    const { code, stdout } = await running.ended;
    expect(code).toBe(0);
    expect(stdout).toContain('Opening browser for OAuth authentication...\n');
    expect(stdout).not.toContain('did not open');
    expect(await readFile(join(place.folder, 'opened'), 'utf8')).toBe(`1\n${url}\n`);
  });

  test.each([
    ['fails', 'exit 3', 'The browser did not open'],
    ['hangs', 'exec sleep 20', ''],
  ])('goes on when the opener %s', async (_, script, said) => {
    const running = place.start(words('login', 'acme'), { env: { PATH: await opener(script) } });
    await fetch(await shownUrl(running));
    const { code, stdout } = await running.ended;
    expect(code).toBe(0);
    expect(stdout).toContain(said);
  });

  test('has the URL on stderr and one document on stdout with --json', async () => {
    const running = place.start(words('login', 'acme', '--no-browser', '--json'));
    await fetch(await shownUrl(running));
    const ended = await running.ended;
    expect(ended.code).toBe(0);
    expect(ended.json).toMatchObject({ server: 'acme', state: 'ready', scopes: ['mcp:tools'] });
  });

  test('that nobody finishes ends with 3 at its timeout, and frees the port', async () => {
    const ended = await countersign('login', 'acme', '--no-browser', '--timeout', '1', '--json');
    expect(ended.code).toBe(3);
    expect(ended.json).toMatchObject({ error: { code: 'LOGIN_FAILED', server: 'acme' } });
    expect(await listens(callbackPort)).toBe(false);
  });

  test('that is interrupted ends with 130, and frees the port', async () => {
    const running = place.start(words('login', 'acme', '--no-browser'), { input: null });
    await shownUrl(running);
    running.child.kill('SIGINT');
    expect(await running.ended).toMatchObject({ code: 130, stderr: '' });
    expect(await listens(callbackPort)).toBe(false);
  });

  test('with --non-interactive asks nobody, and ends with 3 and the command to run', async () => {
    const ended = await countersign('--non-interactive', 'login', 'acme', '--json');
    expect(ended).toMatchObject({ code: 3, stderr: '' });
    expect(ended.json).toMatchObject({
      error: { code: 'LOGIN_REQUIRED', remedy: `Run \`countersign login acme --config ${config}\`.` },
    });
  });

  test('into a server without a sign-in is a usage error', async () => {
    const file = await place.configure({ open: { url: 'http://127.0.0.1:9/mcp' } }, 'open.json');
    expect(await place.run(['--config', file, 'login', 'open'])).toMatchObject({ code: 2, stdout: '' });
  });
});

describe('signed out', () => {
  test('connections says so, with the command to run, and ends with 3', async () => {
    const ended = await countersign('connections', '--json');
    expect(ended).toMatchObject({ code: 3, stderr: '' });
    expect(ended.json).toMatchObject({
      servers: [
        {
          name: 'acme',
          auth: ['oauth'],
          state: 'login_required',
          error: { code: 'LOGIN_REQUIRED', remedy: `Run \`countersign login acme --config ${config}\`.` },
        },
      ],
    });
  });

  test('whoami says so and ends with 3', async () => {
    const ended = await countersign('whoami', 'acme', '--json');
    expect(ended.code).toBe(3);
    expect(ended.json).toMatchObject({ state: 'login_required', reason: expect.any(String) as unknown });
  });

  test('a call ends with 3', async () => {
    expect(await countersign('call', 'acme', 'greet', 'name=x')).toMatchObject({
      code: 3,
      stdout: '',
      stderr: expect.stringContaining('countersign login acme') as unknown,
    });
  });

  test('a server that is given by its URL is named by it', async () => {
    const url = `http://${demo.host}/mcp`;
    expect((await place.run(['call', url, 'greet', 'name=x'])).stderr).toContain(`countersign login ${url}\``);
  });

  test('logout is done all the same', async () => {
    expect((await countersign('logout', 'acme', '--json')).json).toEqual({
      server: 'acme',
      profile: 'default',
      signedOut: true,
    });
  });
});

async function shownUrl(running: Running): Promise<string> {
  await running.shows('code_challenge_method');
  return /^https?:\/\/\S+$/m.exec(running.text())?.[0] ?? '';
}

/** A PATH with an xdg-open of the test's own before everything else. */
async function opener(script: string): Promise<string> {
  const folder = join(place.folder, `bin-${Buffer.from(script).toString('hex').slice(0, 16)}`);
  await mkdir(folder, { recursive: true });
  for (const name of ['xdg-open', 'open'])
    await writeFile(join(folder, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return `${folder}:${process.env['PATH'] ?? ''}`;
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => (socket.destroy(), resolve(true)));
    socket.once('error', () => resolve(false));
  });
}
