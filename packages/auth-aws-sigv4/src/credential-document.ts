import type { AwsCredentials } from './sign.js';

/** Reads the JSON in which containers, instances and credential processes give credentials; `undefined` for any other text, which is never quoted. */
export function readDocument(text: string): AwsCredentials | undefined {
  let given: Record<string, unknown> | null;
  try {
    given = JSON.parse(text) as Record<string, unknown> | null;
  } catch {
    return undefined;
  }
  const field = (name: string): string => (typeof given?.[name] === 'string' ? given[name] : '');
  if (!field('AccessKeyId') || !field('SecretAccessKey')) return undefined;
  const expiration = new Date(field('Expiration'));
  return {
    accessKeyId: field('AccessKeyId'),
    secretAccessKey: field('SecretAccessKey'),
    sessionToken: field('Token') || field('SessionToken') || undefined,
    ...(Number.isNaN(expiration.getTime()) ? {} : { expiration }),
  };
}
