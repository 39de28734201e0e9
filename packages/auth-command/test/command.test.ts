import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { createCountersign } from '@countersign/core';
import { bearer, json, startGuard } from '@countersign/test-servers';
import command, { readOutput } from '@countersign/auth-command';

const closing: (() => unknown)[] = [];
afterEach(() => Promise.all(closing.splice(0).map((close) => close())));

/** A helper that prints what a file holds, and counts its runs. */
async function helper(script: string) {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-helper-'));
  const file = join(folder, 'helper.mjs');
  await writeFile(join(folder, 'runs'), '');
  await writeFile(
    file,
    `import { appendFileSync, readFileSync } from 'node:fs';\nappendFileSync(${JSON.stringify(join(folder, 'runs'))}, 'x');\n${script}`,
  );
  return {
    argv: [process.execPath, file],
    folder,
    runs: async () => (await readFile(join(folder, 'runs'), 'utf8')).length,
  };
}

async function server(argv: string[], accepted: Set<string> = new Set(['tok-1']), options = {}) {
  const verify = bearer(accepted);
  const guard = await startGuard({ verify: async (head, body) => (await verify(head, body)) ?? json(200, {}) });
  const url = `${guard.origin}/mcp`;
  const app = await createCountersign({
    plugins: [command],
    servers: { s: { url, auth: { method: 'command', command: argv, ...options } } },
    env: { PATH: process.env['PATH'] },
  });
  closing.push(
    () => app.close(),
    () => guard.close(),
  );
  return { fetch: () => app.fetch('s')(url, { method: 'POST', body: '{}' }), guard, accepted, app };
}

test.each([
  ['a token', 'tok-1', 'Bearer tok-1'],
  ['headers', '{"Authorization":"Bearer tok-1","X-Org":"o"}', 'Bearer tok-1'],
  [
    'an ExecCredential',
    '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"tok-1","expirationTimestamp":"2099-01-01T00:00:00Z"}}',
    'Bearer tok-1',
  ],
  [
    'git attributes',
    'protocol=https\nhost=h\nusername=u\npassword=p=w\n',
    `Basic ${Buffer.from('u:p=w').toString('base64')}`,
  ],
  [
    'git attributes with a scheme',
    'authtype=Bearer\ncredential=tok-1\npassword_expiry_utc=4070908800\n',
    'Bearer tok-1',
  ],
])('reads %s', (_, output, authorization) => {
  const read = readOutput(output);
  expect(
    typeof read === 'string'
      ? read
      : Object.fromEntries([...read.headers].map(([name, value]) => [name.toLowerCase(), value])),
  ).toMatchObject({ authorization });
});

test.each([
  ['', /nothing/],
  ['{', /parse/],
  ['{}', /no header/],
  ['{"A":1}', /not all text/],
  ['two words', /neither/],
  ['{"kind":"ExecCredential"}', /without a token/],
  ['{"kind":"ExecCredential","status":{"token":"t","expirationTimestamp":"soon"}}', /not a date/],
  ['username=u\n', /neither a password/],
])('says what is wrong with %j', (output, message) => {
  expect(readOutput(output)).toEqual(expect.stringMatching(message));
});

test('fifty requests run it once, and a 401 once more', async () => {
  const { argv, runs, folder } = await helper(
    `process.stdout.write(readFileSync(new URL('./token', import.meta.url)));`,
  );
  await writeFile(join(folder, 'token'), 'tok-1');
  const { fetch, accepted } = await server(argv);
  const all = await Promise.all(Array.from({ length: 50 }, fetch));
  expect([new Set(all.map(({ status }) => status)), await runs()]).toEqual([new Set([200]), 1]);
  await writeFile(join(folder, 'token'), 'tok-2');
  accepted.clear();
  accepted.add('tok-2');
  expect([(await fetch()).status, await runs()]).toEqual([200, 2]);
  accepted.clear();
  expect([(await fetch()).status, await runs()]).toEqual([401, 3]);
});

test.each([
  ['process.exit(3)', /ended with 3/],
  ['process.kill(process.pid, "SIGTERM"); setInterval(() => {}, 1000)', /ended with SIGTERM/],
  [
    'console.log("{\\"kind\\":\\"ExecCredential\\",\\"status\\":{\\"token\\":\\"canary-token\\",\\"expirationTimestamp\\":\\"2001-01-01T00:00:00Z\\"}}")',
    /expired/,
  ],
  ['console.log("x".repeat(300000))', /256 KB/],
  ['console.error("canary on stderr"); console.log("canary in words")', /neither/],
])('%s is an error that names the program only', async (script, message) => {
  const { argv } = await helper(script);
  const { fetch, guard } = await server([...argv, '--canary-argument']);
  const error = (await fetch().catch((e: unknown) => e)) as Error;
  expect(error).toMatchObject({ code: 'CREDENTIAL_UNAVAILABLE', message: expect.stringMatching(message) });
  expect(`${error.stack}${JSON.stringify(error)}`).not.toContain('canary');
  expect(guard.requests).toEqual([]);
});

test('a program that is not there is an error', async () => {
  const { fetch } = await server(['/nonexistent/helper']);
  await expect(fetch()).rejects.toMatchObject({
    code: 'CREDENTIAL_UNAVAILABLE',
    message: expect.stringContaining('ENOENT'),
  });
});

test('it has no stdin, and knows its server', async () => {
  const { argv } = await helper(
    `let got = ''; process.stdin.on('data', (d) => (got += d)).on('end', () => console.log(JSON.stringify({ authorization: 'Bearer ' + process.env.COUNTERSIGN_SERVER_NAME + got })));`,
  );
  expect((await (await server(argv, new Set(['s']))).fetch()).status).toBe(200);
});
