import { describe, expect, test } from '@jest/globals';
import { HeaderFields } from '@countersign/core';
import { isCredentialRefused, parseRefusal, remedyOf } from '../src/refusal.js';

const parse = (body: string, errortype?: string) =>
  parseRefusal({ headers: new HeaderFields(errortype ? [['x-amzn-errortype', errortype]] : []) }, body);

describe('an AWS error', () => {
  test.each([
    [
      'JSON with __type',
      '{"__type":"com.amazon.coral.service#ExpiredTokenException","message":"The security token included in the request is expired"}',
      undefined,
      'ExpiredTokenException',
    ],
    [
      'JSON with a header',
      '{"message":"The security token included in the request is invalid."}',
      'UnrecognizedClientException:http://internal.amazon.com/',
      'UnrecognizedClientException',
    ],
    [
      'XML',
      '<ErrorResponse><Error><Type>Sender</Type><Code>InvalidClientTokenId</Code><Message>The security token included in the request is invalid.</Message></Error></ErrorResponse>',
      undefined,
      'InvalidClientTokenId',
    ],
  ])('in %s has its code and message, and asks for a new credential', (_, body, errortype, code) => {
    const refusal = parse(body, errortype);
    expect(refusal).toMatchObject({ code, message: expect.stringContaining('security token') });
    expect(isCredentialRefused(refusal)).toBe(true);
  });

  test.each([
    [
      '{"message":"User: arn:aws:iam::1:user/x is not authorized to perform: execute-api:Invoke"}',
      'AccessDeniedException',
      /whoami/,
    ],
    ['{"Message":"Forbidden"}', undefined, /policies/],
    ['{"message":"Missing Authentication Token"}', 'MissingAuthenticationTokenException', /URL/],
    [
      '{"message":"Credential should be scoped to a valid region, not \'us-east-1\'."}',
      'InvalidSignatureException',
      /"region"/,
    ],
    [
      '{"message":"Signature expired: 20261124T000000Z is now earlier than 20261124T000500Z"}',
      'InvalidSignatureException',
      /clock/,
    ],
    [
      '{"message":"The request signature we calculated does not match the signature you provided."}',
      'InvalidSignatureException',
      /secret access key/,
    ],
  ])('%s asks for none, and says what mends it', (body, errortype, remedy) => {
    const refusal = parse(body, errortype);
    expect(isCredentialRefused(refusal)).toBe(false);
    expect(remedyOf(refusal)).toMatch(remedy);
  });

  test('loses the canonical request that holds the session token', () => {
    const { message } = parse(
      JSON.stringify({
        message:
          "The request signature does not match.\n\nThe Canonical String for this request should have been\n'POST\n/mcp\n\nx-amz-security-token:canary-0001'",
      }),
      'InvalidSignatureException',
    );
    expect(message).toBe('The request signature does not match.');
    expect(
      parse(JSON.stringify({ message: 'No match. The Canonical String was x-amz-security-token:canary-0001' })).message,
    ).toBe('No match.');
  });

  test.each([
    '',
    '{',
    'null',
    '[]',
    '42',
    '<html>no</html>',
    '{"message":{}}',
    '{"error":"insufficient_scope"}',
    '\u0000',
  ])('is not what %j is', (body) => {
    expect(remedyOf(parse(body))).toBeUndefined();
    expect(isCredentialRefused(parse(body))).toBe(false);
  });
});
