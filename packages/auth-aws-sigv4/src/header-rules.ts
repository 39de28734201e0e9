const NEVER_SIGNED = new Set(
  'authorization cache-control connection expect from keep-alive max-forwards pragma referer te trailer transfer-encoding upgrade user-agent x-amzn-trace-id'.split(
    ' ',
  ),
);

/** Whether intermediaries leave the header alone, so that a signature may cover it. `name` is in lower case. */
export const maySign = (name: string): boolean =>
  !NEVER_SIGNED.has(name) && !name.startsWith('proxy-') && !name.startsWith('sec-');

/** What the provider signs of a request without being told to: what AWS demands, and what no intermediary changes. */
export const signsByDefault = (name: string): boolean =>
  name === 'host' || name === 'content-type' || name === 'amz-sdk-invocation-id' || name.startsWith('x-amz-');
