import { expect, test } from '@jest/globals';
import { CountersignError, type ErrorCode } from './errors.js';
import { isPassing, lastEventIdField, reconnectDelay } from './reconnecting.js';

test.each([
  ['plain-1', 'plain-1'],
  ['ä 🔑', 'Ã¤ ð\u009f\u0094\u0091'],
  ['tab\there', 'tab\there'],
])('an event id of %j is sent as its bytes', (id, value) => {
  expect(lastEventIdField(id)).toEqual({ 'last-event-id': value });
});

test.each([undefined, '', 'bell\u0007', 'del\u007f', 'line\nbreak'])('an event id of %j is not sent', (id) => {
  expect(lastEventIdField(id)).toEqual({});
});

test('the delay doubles with each failure, within bounds', () => {
  expect([0, 1, 2, 3, 6, 100].map((failures) => reconnectDelay(failures))).toEqual([
    1_000, 1_000, 2_000, 4_000, 30_000, 30_000,
  ]);
  expect([0, 50, 500, 1e12].map((retry) => reconnectDelay(1, retry))).toEqual([100, 100, 500, 30_000]);
});

test.each<[ErrorCode, number | undefined, boolean]>([
  ['UNREACHABLE', undefined, true],
  ['TIMEOUT', undefined, true],
  ['RATE_LIMITED', 429, true],
  ['SERVER_ERROR', 503, true],
  ['SERVER_ERROR', 404, false],
  ['UNAUTHORIZED', 401, false],
  ['LOGIN_REQUIRED', undefined, false],
  ['TOO_LARGE', undefined, false],
])('%s (%s) is worth another attempt: %s', (code, status, passing) => {
  expect(isPassing(new CountersignError(code, 'x', status === undefined ? {} : { status }))).toBe(passing);
});
