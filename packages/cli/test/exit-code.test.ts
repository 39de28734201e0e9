import { describe, expect, test } from '@jest/globals';
import { CountersignError, ERROR_CODES } from '@countersign/core';
import { McpError } from '@modelcontextprotocol/sdk/types.js';
import { exitCode, exitCodeOfAll } from '../src/exit-code.js';
import { failure } from '../src/failure.js';

describe('the exit code', () => {
  test.each([
    ['CONFIG_INVALID', 2],
    ['UNRESOLVED_VARIABLE', 2],
    ['CREDENTIAL_OVER_HTTP', 2],
    ['USAGE', 2],
    ['LOGIN_REQUIRED', 3],
    ['LOGIN_FAILED', 3],
    ['UNAUTHORIZED', 3],
    ['FORBIDDEN', 3],
    ['CALLBACK_SERVER_FAILED', 3],
    ['UNREACHABLE', 4],
    ['TIMEOUT', 4],
    ['SERVER_ERROR', 5],
    ['STORE_FAILED', 1],
    ['A_CODE_OF_TOMORROW', 1],
  ])('of %s is %d', (code, exit) => {
    expect(exitCode(code)).toBe(exit);
  });

  test('is known for every error code', () => {
    for (const code of Object.keys(ERROR_CODES)) expect([1, 2, 3, 4, 5]).toContain(exitCode(code));
  });

  test.each([
    [[], 0],
    [['UNRESOLVED_VARIABLE'], 2],
    [['UNREACHABLE', 'LOGIN_REQUIRED', 'SERVER_ERROR'], 3],
    [['SERVER_ERROR', 'TIMEOUT'], 4],
    [['SERVER_ERROR', 'UNRESOLVED_VARIABLE'], 1],
  ])('of the failures %j is %d', (codes, exit) => {
    expect(exitCodeOfAll(codes)).toBe(exit);
  });
});

describe('a failure', () => {
  test('keeps code, message, remedy and server of ours, also as a cause', () => {
    const ours = new CountersignError('UNREACHABLE', 'orders could not be reached.', { server: 'orders' });
    expect(failure(new Error('fetch failed', { cause: ours }))).toEqual({
      code: 'UNREACHABLE',
      message: ours.message,
      remedy: ours.remedy,
      server: 'orders',
    });
  });

  test('begins with the words that people look up', () => {
    expect(failure(new CountersignError('UNAUTHORIZED', 'the server refuses it.')).message).toBe(
      '401 Unauthorized: the server refuses it.',
    );
    expect(failure(new CountersignError('CALLBACK_SERVER_FAILED', 'port 3000 is taken.')).message).toMatch(
      /^Failed to start OAuth callback server: /,
    );
    expect(
      failure(new CountersignError('UNRESOLVED_VARIABLE', 'Header X-Key of server orders needs KEY, which is not set.'))
        .message,
    ).toMatch(/^Authentication headers missing: /);
  });

  test('says each of those words once', () => {
    expect(failure(new CountersignError('UNAUTHORIZED', '401 Unauthorized: no.')).message).toBe(
      '401 Unauthorized: no.',
    );
  });

  test.each([
    [-32602, 'Invalid arguments', 'SERVER_ERROR'],
    [-32001, 'Request timed out', 'TIMEOUT'],
    [-32000, 'Connection closed', 'UNREACHABLE'],
    [-32000, 'Server not initialized', 'SERVER_ERROR'],
  ])('of JSON-RPC error %d "%s" is %s', (code, message, expected) => {
    expect(failure(new McpError(code, message)).code).toBe(expected);
  });

  test("a protocol error's own prefix is not said again, however often the server and the SDK put it there", () => {
    const { message } = failure(new McpError(-32602, 'MCP error -32602: no such prompt'));
    expect([message.includes('no such prompt'), message.match(/MCP error/g)]).toEqual([true, null]);
  });

  test('names the server in the command that mends it', () => {
    expect(failure(new CountersignError('LOGIN_REQUIRED', 'Sign in.'), 'orders').remedy).toContain(
      'countersign login orders',
    );
  });

  test.each([[undefined], [null], ['text'], [{}], [Object.assign(new Error(''), { code: 'EFOO' })]])(
    'is made of %p too',
    (thrown) => {
      expect(failure(thrown)).toMatchObject({ code: 'INTERNAL', message: expect.stringMatching(/./) as unknown });
    },
  );
});
