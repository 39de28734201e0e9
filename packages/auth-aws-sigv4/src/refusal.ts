import { excerpt } from '@countersign/core';

/** What AWS says of a request that it refuses. */
export interface AwsRefusal {
  /** Without namespace: `ExpiredTokenException`. */
  readonly code: string | undefined;
  /** One line, without the canonical request that some services append: it holds the session token. */
  readonly message: string | undefined;
}

/** Reads an AWS error, JSON or XML, from its headers and the beginning of its body. Never throws. */
export function parseRefusal(
  { headers }: { headers: { get(name: string): string | null | undefined } },
  body: string,
): AwsRefusal {
  const { code, message } = body.trimStart().startsWith('<') ? fromXml(body) : fromJson(body);
  const name = (headers.get('x-amzn-errortype') ?? code)?.split(':')[0]?.replace(/^.*#/, '').trim();
  return {
    code: name && /^[\w.]{1,80}$/.test(name) ? name : undefined,
    message:
      excerpt(message?.split(/[\r\n]|The Canonical String|The String-to-Sign/)[0]?.trim() ?? '', 300) || undefined,
  };
}

function fromJson(body: string): { code?: string | undefined; message?: string | undefined } {
  try {
    const value = JSON.parse(body) as Record<string, unknown> | null;
    const first = (...names: string[]): string | undefined =>
      names.map((name) => value?.[name]).find((one): one is string => typeof one === 'string');
    return { code: first('__type', 'code', 'Code'), message: first('message', 'Message', 'errorMessage') };
  } catch {
    return {};
  }
}

function fromXml(body: string): { code?: string | undefined; message?: string | undefined } {
  return {
    code: /<Code>([^<]{1,200})<\/Code>/.exec(body)?.[1],
    message: /<Message>([^<]{1,2000})<\/Message>/.exec(body)?.[1],
  };
}

const REFRESHED =
  /^(?:ExpiredToken|UnrecognizedClient|InvalidClientTokenId|InvalidAccessKeyId|InvalidToken|TokenRefreshRequired)(?:Exception)?$/;

/** The credential itself was refused as expired or unknown: a new one may do. */
export const isCredentialRefused = ({ code, message }: AwsRefusal): boolean =>
  (code !== undefined && REFRESHED.test(code)) ||
  /security token included in the request is (?:expired|invalid)/i.test(message ?? '');

const MEANINGS: readonly (readonly [RegExp, string])[] = [
  [
    /scoped to (?:a valid region|correct service)|Credential should be scoped/i,
    'The server expects another region or service in the signature: set "region" and "service" in the server\'s "auth".',
  ],
  [
    /^(?:ExpiredToken|TokenRefreshRequired)/,
    'The temporary credential has expired where it comes from: renew it there (`aws sso login --profile X`, or new keys).',
  ],
  [
    /^(?:UnrecognizedClient|InvalidClientTokenId|InvalidAccessKeyId|InvalidToken)/,
    'AWS does not know the access key: it is deleted, inactive, of another partition, or temporary and without its AWS_SESSION_TOKEN.',
  ],
  [
    /^RequestTimeTooSkewed|^RequestExpired|Signature (?:expired|not yet current)/,
    "This machine's clock is wrong, or the server's is: set it by NTP.",
  ],
  [
    /^(?:SignatureDoesNotMatch|InvalidSignature)/,
    'The secret access key does not belong to the access key id, or something between here and AWS changes the request.',
  ],
  [
    /^MissingAuthenticationToken/,
    'The URL is usually wrong: no such path, stage or method, or it is not authorized by IAM.',
  ],
  [/^IncompleteSignature/, 'Something between here and AWS changes the Authorization header.'],
  [
    /^AccessDenied|not authorized to perform|^Forbidden/,
    'AWS knows the caller and its policies do not allow this: give it the action that the message names. `countersign whoami SERVER` shows who it is.',
  ],
];

/** What a refusal usually means, and what mends it; `undefined` for one that is not AWS's. */
export function remedyOf({ code, message }: AwsRefusal): string | undefined {
  if (code === undefined && !/Forbidden|signature|security token|not authorized/i.test(message ?? '')) return undefined;
  return MEANINGS.find(([pattern]) => pattern.test(message ?? '') || pattern.test(code ?? ''))?.[1];
}
