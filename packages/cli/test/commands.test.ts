import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { apiKey, bearer, closeEverything, everything, startGuard, type Guard } from '@countersign/test-servers';
import { createPlace, type Place } from './support/countersign.js';

jest.setTimeout(60_000); // Each test starts processes, on a machine that may be busy.

const TOKEN = 'canary-token-4711';
const KEY = 'canary-key-4711';

let place: Place;
let bearerGuard: Guard;
let keyGuard: Guard;
let openGuard: Guard;
let config: string;

beforeAll(async () => {
  place = await createPlace();
  const target = (await everything()).url;
  bearerGuard = await startGuard({ target, verify: bearer(TOKEN) });
  keyGuard = await startGuard({ target, verify: apiKey({ key: KEY }) });
  openGuard = await startGuard({ target });
  config = await place.configure({
    mcpServers: {
      bearer: { url: bearerGuard.url.href, headers: { Authorization: 'Bearer ${TOKEN}' } },
      key: {
        url: keyGuard.url.href,
        headers: { 'X-API-Key': '${KEY}', 'X-Timestamp': '${TIMESTAMP}', 'X-Request-ID': '${REQUEST_ID}' },
      },
      open: { url: openGuard.url.href },
    },
  });
});

afterAll(async () => {
  for (const guard of [bearerGuard, keyGuard, openGuard]) await guard.close();
  await closeEverything();
  await place.remove();
});

const env = { TOKEN, KEY };
const countersign = (...words: string[]) => place.run(['--config', config, ...words], { env });

describe('call', () => {
  test.each(['bearer', 'key', 'open'])('reaches server-everything through the guard "%s"', async (name) => {
    expect(await countersign('call', name, 'echo', 'message=hi there')).toMatchObject({
      code: 0,
      stdout: 'Echo: hi there\n',
      stderr: '',
    });
  });

  test('gives values the types of the tool', async () => {
    expect(await countersign('call', 'open', 'get-sum', 'a=2', 'b=3')).toMatchObject({
      code: 0,
      stdout: 'The sum of 2 and 3 is 5.\n',
    });
  });

  test('reads the arguments from the standard input', async () => {
    const ended = await place.run(['--config', config, 'call', 'open', 'echo', '-', '--json'], {
      env,
      input: '{"message": "piped"}',
    });
    expect(ended.json).toEqual({ content: [{ type: 'text', text: 'Echo: piped' }] });
  });

  test('notes an image in place of its bytes', async () => {
    expect((await countersign('call', 'open', 'get-tiny-image')).stdout).toMatch(/^\[image image\/png, \d+ KB\]$/m);
  });

  test('ends with 5 for a result that is an error, which is the document with --json', async () => {
    const ended = await countersign('call', 'open', 'echo', '--json');
    expect(ended.code).toBe(5);
    expect(ended.json).toMatchObject({ isError: true, content: [{ type: 'text' }] });
  });

  test.each([[['{"message":']], [['hi']], [['-']]])('ends with 2 for the arguments %j', async (words) => {
    const ended = await countersign('call', 'open', 'echo', ...words, '--json');
    expect(ended).toMatchObject({ code: 2, stderr: '' });
    expect(ended.json).toMatchObject({ error: { code: 'USAGE' } });
  });
});

describe('lists and reads', () => {
  test('tools are the protocol’s own result', async () => {
    const { tools } = (await countersign('tools', 'open', '--json')).json as {
      tools: { name: string; inputSchema: object }[];
    };
    expect(tools.find(({ name }) => name === 'echo')).toMatchObject({ inputSchema: { type: 'object' } });
  });

  test('tools are a table for a person, with optional arguments marked', async () => {
    expect((await countersign('tools', 'open')).stdout).toMatch(
      /^get-annotated-message +messageType, includeImage\? /m,
    );
  });

  test('resources, read, prompts and prompt likewise', async () => {
    const uri = 'demo://resource/static/document/features.md';
    expect((await countersign('resources', 'open', '--json')).json).toMatchObject({
      resources: expect.arrayContaining([expect.objectContaining({ uri })]) as unknown,
    });
    expect((await countersign('read', 'open', uri, '--json')).json).toMatchObject({
      contents: [{ uri, mimeType: 'text/markdown' }],
    });
    expect((await countersign('prompts', 'open', '--json')).json).toMatchObject({
      prompts: expect.arrayContaining([expect.objectContaining({ name: 'args-prompt' })]) as unknown,
    });
    expect((await countersign('prompt', 'open', 'args-prompt', 'city=Oslo', '--json')).json).toMatchObject({
      messages: [{ role: 'user', content: { type: 'text' } }],
    });
    expect((await countersign('prompt', 'open', 'args-prompt', 'city=Oslo')).stdout).toContain(
      "What's weather in Oslo?",
    );
  });

  test('an error of the server is exit 5', async () => {
    expect(await countersign('read', 'open', 'demo://nowhere')).toMatchObject({ code: 5, stdout: '' });
  });
});

describe('headers', () => {
  test('masks the credential, and sends nothing', async () => {
    const before = bearerGuard.requests.length;
    const { code, stdout, json } = await countersign('headers', 'bearer', '--json');
    expect(code).toBe(0);
    expect(json).toMatchObject({
      method: 'POST',
      url: bearerGuard.url.href,
      headers: { authorization: 'Bearer ****' },
    });
    expect(stdout).not.toContain(TOKEN);
    expect(bearerGuard.requests.length).toBe(before);
  });

  test('reveals it when asked', async () => {
    expect((await countersign('headers', 'bearer', '--reveal')).stdout).toContain(`authorization: Bearer ${TOKEN}\n`);
    expect((await countersign('headers', 'bearer', '--reveal', '--json')).json).toMatchObject({
      headers: { authorization: `Bearer ${TOKEN}` },
    });
  });

  test('prints a curl command that the guard lets through', async () => {
    const { stdout } = await countersign('headers', 'key', '--curl', '--reveal');
    expect(stdout).toMatch(/^curl [^\n]*\n$/);
    const answered = await promisify(execFile)('sh', ['-c', stdout]);
    expect(answered.stdout).toContain('"serverInfo"');
  });

  test('prints no secret in a curl command that is not revealed', async () => {
    const { stdout } = await countersign('headers', 'key', '--curl');
    expect(stdout).toMatch(/^curl /);
    expect(stdout).not.toContain(KEY);
  });
});

describe('connections', () => {
  test('shows the others ready when one is down, and ends with 4', async () => {
    const some = await place.configure(
      { up: { url: openGuard.url.href }, down: { url: 'http://127.0.0.1:9/mcp' } },
      'some.json',
    );
    const ended = await place.run(['--config', some, 'connections', '--json']);
    expect(ended).toMatchObject({ code: 4, stderr: '' });
    const { servers } = ended.json as { servers: Record<string, unknown>[] };
    expect(servers).toMatchObject([
      {
        name: 'up',
        transport: 'streamable-http',
        url: openGuard.url.href,
        auth: [],
        state: 'ready',
        protocol: '2025-11-25',
        serverInfo: { name: 'mcp-servers/everything' },
        tools: 13,
        credential: { usage: { refused: 0 } },
      },
      {
        name: 'down',
        state: 'failed',
        protocol: null,
        tools: null,
        latencyMs: null,
        error: {
          code: 'UNREACHABLE',
          message: expect.stringContaining('127.0.0.1:9') as unknown,
          remedy: expect.any(String) as unknown,
        },
      },
    ]);
    expect(servers[0]).toMatchObject({ resources: 7, prompts: 4, latencyMs: expect.any(Number) as unknown });
  });

  test('without a terminal is what countersign alone does', async () => {
    const ended = await countersign();
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout.split('\n')[0]).toMatch(
      /^NAME +TRANSPORT +AUTH +STATE +PROTOCOL +TOOLS\/RES\/PROMPTS +LATENCY +CREDENTIAL$/,
    );
    expect(ended.stdout).toMatch(/^key +streamable-http +headers +ready /m);
  });

  test('connects to the named servers only', async () => {
    const before = bearerGuard.requests.length;
    const { json } = await countersign('connections', 'open', '--json');
    expect((json as { servers: unknown[] }).servers).toHaveLength(1);
    expect(bearerGuard.requests.length).toBe(before);
  });

  test('connects to none when a name is unknown', async () => {
    const before = openGuard.requests.length;
    expect(await countersign('connections', 'open', 'opne')).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining('opne') as unknown,
    });
    expect(openGuard.requests.length).toBe(before);
  });

  test('connects to twenty servers at once, without a warning of Node', async () => {
    const many = Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`s${at}`, { url: openGuard.url.href }]));
    const file = await place.configure(many, 'many.json');
    const ended = await place.run(['--config', file, 'connections', '--json']);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(
      (ended.json as { servers: { state: string }[] }).servers.filter(({ state }) => state === 'ready'),
    ).toHaveLength(20);
  });
});

describe('failures', () => {
  test('an unset variable sends nothing, and names header, variable and server', async () => {
    const before = bearerGuard.requests.length;
    const ended = await place.run(['--config', config, 'call', 'bearer', 'echo', 'message=hi']);
    expect(ended).toMatchObject({ code: 2, stdout: '' });
    expect(ended.stderr).toMatch(/^error Authentication headers missing: .*Authorization.*bearer.*TOKEN/);
    expect(bearerGuard.requests.length).toBe(before);
  });

  test('a refused token is 401 Unauthorized and exit 3, without the token', async () => {
    const ended = await place.run(['--config', config, 'tools', 'bearer', '--debug'], {
      env: { TOKEN: 'wrong-canary-0815' },
    });
    expect(ended.code).toBe(3);
    expect(ended.stderr).toContain('401 Unauthorized');
    expect(ended.stderr).toContain('countersign headers bearer');
    expect(ended.stdout + ended.stderr).not.toContain('wrong-canary-0815');
  });

  test('are one JSON document with --json, and nothing on stderr', async () => {
    const ended = await place.run(['--config', config, 'tools', 'bearer', '--json'], {
      env: { TOKEN: 'wrong-canary-0815' },
    });
    expect(ended.stderr).toBe('');
    expect(ended.json).toEqual({
      error: {
        code: 'UNAUTHORIZED',
        message: expect.stringContaining('401 Unauthorized') as unknown,
        remedy: expect.any(String) as unknown,
        server: 'bearer',
      },
    });
  });

  test.each([
    [['frobnicate']],
    [['tools']],
    [['tools', 'open', 'extra']],
    [['tools', 'open', '--frob']],
    [['--timeout', 'soon', 'tools', 'open']],
    [['tools', 'nosuch']],
    [['--config', 'nosuch.json', 'tools', 'open']],
  ])('of usage end with 2: %j', async (words) => {
    const ended = await countersign('--json', ...words);
    expect(ended).toMatchObject({ code: 2, stderr: '' });
    expect(ended.json).toMatchObject({
      error: { message: expect.any(String) as unknown, remedy: expect.any(String) as unknown },
    });
  });

  test.each([
    [['tool', 'open'], "error Unknown command 'tool'. Did you mean tools?\n"],
    [['tools', 'open', '--jsn'], "error Unknown option '--jsn'. Did you mean --json?\n"],
    [['frobnicate', 'open'], "error Unknown command 'frobnicate'.\n"],
    [['tools', 'open', '--tokn=canary'], "error Unknown option '--tokn'.\n"],
  ])('of a mistyped word name the nearest: %j', async (words, message) => {
    expect((await countersign(...words)).stderr.startsWith(message)).toBe(true);
  });

  test('a configuration in the working folder is not picked up', async () => {
    await place.configure({ open: { url: openGuard.url.href } }, 'mcp.json');
    const before = openGuard.requests.length;
    const ended = await place.run(['tools', 'open']);
    expect(ended).toMatchObject({ code: 2, stdout: '' });
    expect(ended.stderr).toMatch(/mcp\.json.*not read[\s\S]*--config \.\/mcp\.json/);
    expect(openGuard.requests.length).toBe(before);
  });

  test('a server that never answers ends with 4 at its timeout', async () => {
    const silent = await startGuard({ verify: () => new Promise(() => undefined) });
    const file = await place.configure({ silent: { url: silent.url.href, timeout: 1 } }, 'silent.json');
    const ended = await place.run(['--config', file, 'tools', 'silent', '--json']);
    expect(ended.code).toBe(4);
    expect(ended.json).toMatchObject({ error: { code: 'TIMEOUT' } });
    await silent.close();
  });
});

describe('without a server', () => {
  test('providers needs no configuration', async () => {
    const ended = await place.run(['providers', '--json'], { env: { COUNTERSIGN_CONFIG: '' } });
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    const { auth, transports, stores } = ended.json as Record<string, { type: string }[]>;
    expect(auth?.map(({ type }) => type)).toEqual(expect.arrayContaining(['bearer', 'headers', 'oauth']));
    expect(transports?.map(({ type }) => type)).toEqual(expect.arrayContaining(['streamable-http', 'stdio']));
    expect(stores).toHaveLength(1);
  });

  test('schema prints a JSON Schema that knows the installed methods', async () => {
    const { stdout } = await place.run(['schema']);
    expect(JSON.parse(stdout)).toMatchObject({ $schema: 'https://json-schema.org/draft/2020-12/schema' });
    expect(stdout).toContain('"oauth"');
  });

  test('help has an example for every command', async () => {
    const commands = [...(await place.run(['--help'])).stdout.matchAll(/^ {2}([a-z]+) (?:\[|<| {2})/gm)].map(
      ([, name]) => name ?? '',
    );
    expect(commands).toEqual(expect.arrayContaining(['connections', 'call', 'bridge', 'check']));
    for (const name of commands) expect((await place.run([name, '--help'])).stdout).toContain(`$ countersign ${name}`);
  });
});
