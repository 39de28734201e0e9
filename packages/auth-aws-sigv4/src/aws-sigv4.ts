import {
  CountersignError,
  isCountersignError,
  type Attempt,
  type AuthProvider,
  type AuthServices,
  type ChallengeContext,
  type OutgoingRequest,
  type ResponseHead,
} from '@countersign/core';
import { freshCredentials } from './fresh-credentials.js';
import { signsByDefault } from './header-rules.js';
import { awsHost, knownHosts } from './hosts.js';
import type { SigV4Options } from './options.js';
import { isCredentialRefused, parseRefusal, remedyOf } from './refusal.js';
import { readProfile, sharedFiles } from './shared-config.js';
import type * as signing from './sign.js';
import type { AwsCredentials } from './sign.js';

/** One reading of clock and credentials, for everything within an attempt. */
interface Signing {
  readonly signer: typeof signing;
  readonly credentials: AwsCredentials;
  readonly region: string;
  readonly time: Date;
  /** By the request that it was computed for. */
  signature?: { readonly request: OutgoingRequest; readonly text: string };
}

/** AWS accepts five minutes; a minute is left for the way. */
const SKEW_MS = 4 * 60_000;

/** Signs every request as it leaves with AWS Signature Version 4, in its headers. Throws AUTH_OPTIONS_INVALID for a host whose service nobody named. */
export function sigV4Provider(options: SigV4Options, services: AuthServices): AuthProvider {
  const { server, env, clock, implicit } = services;
  const host = server.url && awsHost(server.url.hostname);
  const service = options.service ?? host?.service;
  if (!implicit && server.url && service === undefined) throw unknownHost(server.url.hostname, server.name);
  const payload = options.payload ?? host?.payload ?? (service === 's3' ? 'header' : 'signed');
  const extra = new Set(options.signedHeaders?.map((name) => name.toLowerCase()));
  if (options.credentials)
    for (const secret of [options.credentials.secretAccessKey, options.credentials.sessionToken])
      if (secret) services.conceal(secret);

  const perAttempt = {};
  /** Milliseconds to add to the local clock for the server's. */
  let offset = 0;
  let profileRegion: Promise<string | undefined> | undefined;
  const credentials = freshCredentials(
    options,
    services,
    async () => (await findRegion()) ?? 'us-east-1',
    () => offset,
  );

  async function findRegion(): Promise<string | undefined> {
    const named = options.region ?? host?.region ?? (env['AWS_REGION'] || env['AWS_DEFAULT_REGION']);
    if (named) return named;
    const profile = options.profile ?? (env['AWS_PROFILE'] || 'default');
    return (
      (await (profileRegion ??= readProfile(sharedFiles(env), profile).then((settings) => settings?.['region']))) ||
      undefined
    );
  }

  async function region(): Promise<string> {
    const found = await findRegion();
    if (found) return found;
    throw new CountersignError(
      'AUTH_OPTIONS_INVALID',
      `The AWS region of server ${server.name} is not known: its host names none, and neither AWS_REGION nor the profile does.`,
      {
        remedy: 'Add "region" to the server\'s "auth", or set AWS_REGION.',
      },
    );
  }

  const signingOf = (attempt: Pick<Attempt, 'memo' | 'time'>, signal?: AbortSignal): Promise<Signing> =>
    attempt.memo(perAttempt, async () => ({
      signer: await import('./sign.js'), // not before the first request: most starts sign nothing
      credentials: await credentials.get(signal),
      region: await region(),
      time: new Date(attempt.time.getTime() + offset),
    }));

  /** Sets what the signature needs, and signs. Answers what follows the algorithm's name in Authorization. */
  function signed(request: OutgoingRequest, signing: Signing): string {
    if (signing.signature?.request === request) return signing.signature.text;
    const { headers, url, method, body, attempt } = request;
    const { signer, credentials: used, region } = signing;
    const date = signer.amzDate(signing.time);
    const target = signer.canonicalTarget(url, undefined, service ?? '', true);
    // What travels is what was signed: a plus sign, or a parenthesis left as it is, would be read in two ways.
    if (url.search !== target.search) url.search = target.search;
    const hash = payload === 'unsigned' ? 'UNSIGNED-PAYLOAD' : signer.payloadHash(body);
    headers.delete('authorization');
    headers.delete('date');
    headers.set('x-amz-date', date);
    // The AWS SDKs' own header: two equal requests within a second have two signatures.
    headers.set('amz-sdk-invocation-id', attempt.nonce);
    if (used.sessionToken) headers.set('x-amz-security-token', used.sessionToken);
    else headers.delete('x-amz-security-token');
    if (payload === 'signed') headers.delete('x-amz-content-sha256');
    else headers.set('x-amz-content-sha256', hash);
    const fields: Record<string, string> = { host: target.host };
    const names = ['host'];
    for (const [name, value] of headers) {
      if (name === 'host' || !(signsByDefault(name) || extra.has(name))) continue;
      fields[name] = value;
      names.push(name);
    }
    const { authorization } = signer.signParts(
      {
        method,
        path: target.path,
        query: target.query,
        headers: fields,
        names,
        payload: hash,
        region,
        service: service ?? '',
        date,
      },
      used,
    );
    const text = authorization.slice('AWS4-HMAC-SHA256 '.length);
    signing.signature = { request, text };
    return text;
  }

  /** The server's time, where the answer comes from the server itself and not from a cache. */
  function serverTime({ headers }: ResponseHead): number | undefined {
    if (headers.has('age')) return undefined;
    const time = Date.parse(headers.get('date') ?? '');
    return Number.isNaN(time) ? undefined : time;
  }

  return {
    async authorize(request, signal) {
      const text = signed(request, await signingOf(request.attempt, signal));
      request.headers.set('authorization', `AWS4-HMAC-SHA256 ${text}`);
    },

    async variable(name, request, signal) {
      // Without a signature beside it, it is the plain one of core.
      if (implicit && name === 'TIMESTAMP') return (request?.attempt.time ?? new Date(clock.now())).toISOString();
      if (implicit && !host) throw notOurs(name, server);
      const signing = await signingOf(
        request?.attempt ?? { time: new Date(clock.now()), memo: (_, make) => make() },
        signal,
      );
      switch (name) {
        case 'AWS_SIGNATURE':
          return request && signed(request, signing);
        case 'TIMESTAMP':
          return signing.signer.amzDate(signing.time);
        case 'AWS_SESSION_TOKEN':
          return signing.credentials.sessionToken || undefined;
        case 'AWS_ACCESS_KEY_ID':
          return signing.credentials.accessKeyId;
        case 'AWS_REGION':
          return signing.region;
        default:
          return undefined;
      }
    },

    observe(response) {
      const time = serverTime(response);
      if (time !== undefined && Math.abs(time - (clock.now() + offset)) > SKEW_MS) offset = time - clock.now();
    },

    async challenge(context: ChallengeContext) {
      const signing = await context.request.attempt.memo<Promise<Signing> | undefined>(perAttempt, () => undefined);
      if (!signing) return false;
      const time = serverTime(context.response);
      if (time !== undefined && Math.abs(time - signing.time.getTime()) > SKEW_MS) return true; // `observe` has learned the offset
      const refusal = parseRefusal(context.response, await context.body());
      return credentials.replace(signing.credentials, isCredentialRefused(refusal), context.signal);
    },

    explain(response, body) {
      const refusal = parseRefusal(response, body);
      const remedy = remedyOf(refusal);
      const said = [refusal.code, refusal.message].filter(Boolean).join(': ');
      return remedy && said ? { said, remedy } : undefined;
    },

    async status(detail) {
      if (!detail || (implicit && !host)) return credentials.status();
      try {
        const used = await credentials.get();
        const { callerIdentity } = await import('./caller-identity.js');
        const { arn, account, userId } = await callerIdentity(used, await region(), services);
        return { ...credentials.status(), principal: arn, claims: { arn, account, userId } };
      } catch (error) {
        if (isCountersignError(error, 'TIMEOUT', 'UNREACHABLE')) throw error;
        const status = credentials.status();
        return {
          ...status,
          state: status.state === 'ready' ? 'failed' : status.state,
          reason: status.reason ?? (error as Error).message,
        };
      }
    },

    refresh: () => credentials.drop(),
  };
}

function unknownHost(hostname: string, server: string): CountersignError {
  return new CountersignError(
    'AUTH_OPTIONS_INVALID',
    `The host ${hostname} of server ${server} does not say which AWS service it is. Known are: ${knownHosts()}.`,
    {
      server,
      remedy: 'Add "auth": { "method": "aws-sigv4", "service": "…", "region": "…" } to the server.',
    },
  );
}

function notOurs(name: string, { name: server, url }: AuthServices['server']): CountersignError {
  return new CountersignError(
    'UNRESOLVED_VARIABLE',
    `\${${name}} is given only to AWS hosts, and ${url?.hostname ?? 'a program'} of server ${server} is not one.`,
    {
      server,
      remedy: `Set ${name} in the environment, or add "auth": { "method": "aws-sigv4", "service": "…", "region": "…" } to the server.`,
    },
  );
}
