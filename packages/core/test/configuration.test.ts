import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isCountersignError } from '@countersign/core';
import { readConfiguration, toConfiguration } from '../src/configuration.js';
import { parseJsonText } from '../src/json-text.js';

const only = (value: unknown) => [...toConfiguration(value).servers.values()][0];

describe('a configuration', () => {
  test.each([
    ['a bare map', { s: { url: 'https://h/mcp' }, LLM: { provider: 'x' } }],
    ['mcpServers', { mcpServers: { s: { url: 'https://h/mcp' } }, AgentConfig: {} }],
    ["VS Code's servers", { servers: { s: { type: 'http', url: 'https://h/mcp' } }, inputs: [] }],
    ['a bare map with a server called servers', { servers: { url: 'https://h/mcp' } }],
  ])('is accepted as %s', (_, value) => {
    expect([...toConfiguration(value).servers.values()]).toEqual([
      expect.objectContaining({ transport: 'streamable-http' }),
    ]);
  });

  test.each([
    [{ url: 'https://h' }, 'streamable-http', false],
    [{ url: 'https://h', transport_type: 'streamable_http' }, 'streamable-http', true],
    [{ url: 'https://h', type: 'http' }, 'streamable-http', true],
    [{ url: 'https://h', type: 'streamableHttp' }, 'streamable-http', true],
    [{ url: 'https://h', transport: 'sse' }, 'sse', true],
    [{ command: 'x' }, 'stdio', false],
  ])('%j is %s', (entry, transport, explicit) => {
    expect(only({ s: entry })).toMatchObject({ transport, explicit });
  });

  test('has headers first, then auth, and none is a method', () => {
    expect(
      only({
        s: { url: 'https://h', headers: { A: 'b' }, auth: [{ type: 'aws_sigv4', region: 'r' }, { method: 'none' }] },
      })?.auth,
    ).toEqual([
      { method: 'headers', options: { headers: { A: 'b' } } },
      { method: 'aws-sigv4', options: { region: 'r' } },
    ]);
  });

  test('lays defaults under every server', () => {
    const { servers } = toConfiguration({
      countersign: { defaults: { timeout: 5 } },
      a: { url: 'https://h' },
      b: { url: 'https://h', timeout: 9 },
    });
    expect([servers.get('a')?.entry.timeout, servers.get('b')?.entry.timeout]).toEqual([5, 9]);
  });

  test.each([
    [{ mcpServers: { s: { url: 1 } } }, /"url"/],
    [{ mcpServers: { s: {} } }, /neither "url" nor "command"/],
    [{ mcpServers: { s: 'x' } }, /not an object/],
    [{ mcpServers: { s: { url: 'https://h', timeout: -1 } } }, /"timeout"/],
    [{ mcpServers: { s: { type: 'sse' } } }, /no "url"/],
    [{ mcpServers: { s: { url: 'https://h', auth: { x: 1 } } } }, /without a "method"/],
    [{ mcpServers: { ['n'.repeat(300)]: { url: 'https://h' } } }, /name/],
    [{ mcpServers: { 'a\0b': { url: 'https://h' } } }, /name/],
  ])('%j is that server’s fault alone', (value, message) => {
    const broken = toConfiguration({ mcpServers: { ...value.mcpServers, good: { url: 'https://h' } } }).servers;
    expect([...broken.values()][0]?.fault).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(message),
    });
    expect(broken.get('good')?.fault).toBeUndefined();
  });

  test.each([
    [[]],
    ['x'],
    [null],
    [{}],
    [{ mcpServers: [] }],
    [{ countersign: { plugin: [] }, s: { url: 'https://h' } }],
  ])('%j is refused whole', (value) => {
    expect(() => toConfiguration(value)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  });

  test('suggests the nearest known setting', () => {
    expect(() => toConfiguration({ countersign: { plugin: [] }, s: { url: 'https://h' } })).toThrow(
      /did you mean "plugins"/,
    );
  });

  test('never shows a value in an error', () => {
    const { fault } =
      only({ mcpServers: { s: { url: 'https://h', headers: { Authorization: ['Bearer top-secret'] } } } }) ?? {};
    expect(JSON.stringify([fault, fault?.message])).not.toContain('top-secret');
  });

  test('a file that is not there, or is a folder, is CONFIG_NOT_FOUND', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'countersign-'));
    for (const file of [join(folder, 'none.json'), folder])
      await expect(readConfiguration(file)).rejects.toMatchObject({ code: 'CONFIG_NOT_FOUND' });
    await writeFile(join(folder, 'c.json'), '\ufeff// mine\n{ "s": { "url": "https://h/mcp", }, }');
    await expect(readConfiguration(join(folder, 'c.json'))).resolves.toMatchObject({ folder });
  });
});

describe('JSON with comments', () => {
  test.each([
    ['{"a": 1, "a": 2}', /twice/],
    ['{"__proto__": {"x": 1}}', /__proto__/],
    ['{"a": ', /line 1/],
    ['{\n\n"a" 1}', /line 3/],
    ['', /no JSON value|expected/],
    [`${'['.repeat(100_000)}`, /deeper/],
    [`${'{"a":'.repeat(100_000)}1`, /deeper/],
    [`"${'x'.repeat(5 * 1024 * 1024)}"`, /larger/],
  ])('refuses %.30s with the place', (text, message) => {
    expect(() => parseJsonText(text, 'c.json')).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) }),
    );
  });

  test('reads every JSON value as JSON.parse does', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 8 }), (value) => {
        const text = JSON.stringify(value, null, 1);
        if (text.includes('"__proto__"')) return;
        expect(parseJsonText(`/* c */ ${text} // d`, 'c')).toEqual(JSON.parse(text));
      }),
    );
  });

  test('never throws anything untyped', () => {
    fc.assert(
      fc.property(
        fc.string({
          unit: fc.constantFrom('{', '}', '[', ']', '"', ',', ':', '/', '*', '\\', '1', 'a', '\n'),
          maxLength: 80,
        }),
        (text) => {
          try {
            toConfiguration(parseJsonText(text, 'c'));
          } catch (error) {
            expect(isCountersignError(error)).toBe(true);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});
