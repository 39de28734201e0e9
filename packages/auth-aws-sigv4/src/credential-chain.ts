import { readFile } from 'node:fs/promises';
import { CountersignError, type AuthServices } from '@countersign/core';
import { AwsSdk, fault, type Sdk } from './aws-sdk.js';
import { containerCredentials } from './container-credentials.js';
import { processCredentials } from './credential-process.js';
import { instanceCredentials } from './instance-metadata.js';
import type { SigV4Options } from './options.js';
import { readProfile, sharedFiles, type SharedFiles } from './shared-config.js';
import type { AwsCredentials } from './sign.js';

type Services = Pick<AuthServices, 'env' | 'fetch' | 'clock' | 'server' | 'conceal'>;

/** Credentials, and where they are from: "AWS profile dev". */
export interface Found {
  readonly credentials: AwsCredentials;
  readonly source: string;
  /** Files whose edit changes the credentials. */
  readonly files: readonly string[];
}

/** What makes a profile more than a region. */
const SOURCES =
  /^(?:aws_access_key_id|role_arn|credential_process|credential_source|web_identity_token_file|login_session|sso_.*)$/;

/** Where `findCredentials` will look first, for a status before anything is used. */
export function expectedSource({ credentials, profile }: SigV4Options, env: Services['env']): string {
  if (credentials) return 'configuration';
  if (profile) return `AWS profile ${profile}`;
  if (env['AWS_ACCESS_KEY_ID']) return 'environment AWS_ACCESS_KEY_ID';
  return env['AWS_PROFILE'] ? `AWS profile ${env['AWS_PROFILE']}` : 'AWS credential chain';
}

/**
 * Finds credentials anew, nothing cached: the configured ones, the configured profile, the environment, AWS_PROFILE, then the whole chain
 * (web identity, profile default, container, instance). Assumes `roleArn` with them. Throws LOGIN_REQUIRED where `aws sso login` mends it,
 * TIMEOUT or UNREACHABLE for the endpoint at fault, else CREDENTIAL_UNAVAILABLE.
 */
export async function findCredentials(
  options: SigV4Options,
  services: Services,
  region: string,
  load: () => Promise<Sdk> = () => import('@aws-sdk/credential-providers'),
): Promise<Found> {
  const { env } = services;
  const files = sharedFiles(env);
  const sdk = new AwsSdk({ services, files, region, sessionName: options.roleSessionName, load });
  const base = await findBase(options, { services, files, sdk });
  if (options.roleArn === undefined) return base;
  const credentials = await sdk.role(options.roleArn, base.credentials, { external_id: options.externalId });
  return { credentials, source: `role ${options.roleArn} by ${base.source}`, files: base.files };
}

interface Context {
  readonly services: Services;
  readonly files: SharedFiles;
  readonly sdk: AwsSdk;
}

async function findBase({ credentials, profile }: SigV4Options, context: Context): Promise<Found> {
  const { env } = context.services;
  if (credentials) return { credentials, source: 'configuration', files: [] };
  if (profile) return inProfile(profile, context);
  if (env['AWS_ACCESS_KEY_ID'] || env['AWS_SECRET_ACCESS_KEY']) return inEnvironment(env);
  if (env['AWS_PROFILE']) return inProfile(env['AWS_PROFILE'], context);
  return (await byWebIdentity(context)) ?? (await inDefaultProfile(context)) ?? (await fromMachine(context));
}

/** `visited` are the profiles whose roles start from this one. */
async function inProfile(name: string, context: Context, visited: readonly string[] = []): Promise<Found> {
  const { files, sdk, services } = context;
  const settings = await readProfile(files, name);
  if (!settings) {
    throw new CountersignError(
      'CREDENTIAL_UNAVAILABLE',
      `There is no AWS profile ${name} in ${files.config} or ${files.credentials}.`,
      { remedy: 'Name one of the profiles that `aws configure list-profiles` shows.' },
    );
  }
  const source = `AWS profile ${name}`;
  const tokenFile = settings['web_identity_token_file'];
  const watched = [files.config, files.credentials, ...(tokenFile ? [tokenFile] : [])];
  const found = (credentials: AwsCredentials): Found => ({ credentials, source, files: watched });
  const { aws_access_key_id: accessKeyId, aws_secret_access_key: secretAccessKey, role_arn: role } = settings;
  // The keys beside a role are what it starts from, where it names itself as its source.
  if (accessKeyId && secretAccessKey && (!role || visited.length > 0))
    return found({ accessKeyId, secretAccessKey, sessionToken: settings['aws_session_token'] });
  if (role && !tokenFile) {
    const base = await sourceOfRole(name, settings, context, visited);
    return found(await sdk.role(role, base.credentials, settings));
  }
  const command = settings['credential_process'];
  if (command && !role) return found(await processCredentials(command, source, services));
  return found(await sdk.profile(name, settings));
}

async function sourceOfRole(
  name: string,
  settings: Readonly<Record<string, string>>,
  context: Context,
  visited: readonly string[],
): Promise<Found> {
  const unusable = (why: string, remedy: string): CountersignError =>
    new CountersignError('CREDENTIAL_UNAVAILABLE', `The role of AWS profile ${name} ${why}.`, { remedy });
  if (settings['mfa_serial'])
    throw unusable('wants the code of a second factor', 'Let a credential_process (aws-vault, granted …) ask for it.');
  const { source_profile: profile, credential_source: machine } = settings;
  if (profile) {
    if (visited.includes(profile))
      throw unusable(`starts from itself, by ${[...visited, name].join(', ')}`, 'Correct "source_profile".');
    return inProfile(profile, context, [...visited, name]);
  }
  if (machine === 'Environment') return inEnvironment(context.services.env);
  if (machine === 'EcsContainer' || machine === 'Ec2InstanceMetadata') return fromMachine(context);
  throw unusable('has neither "source_profile" nor "credential_source"', 'Name the profile that may assume it.');
}

function inEnvironment(env: Services['env']): Found {
  const value = (name: string): string => env[name]?.trim() ?? '';
  const missing = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'].find((name) => !value(name));
  if (missing)
    throw new CountersignError(
      'CREDENTIAL_UNAVAILABLE',
      `The environment has half of an AWS credential: ${missing} is not set.`,
      { remedy: `Set ${missing}, or unset its other half.` },
    );
  const expiration = new Date(value('AWS_CREDENTIAL_EXPIRATION'));
  return {
    credentials: {
      accessKeyId: value('AWS_ACCESS_KEY_ID'),
      secretAccessKey: value('AWS_SECRET_ACCESS_KEY'),
      sessionToken: value('AWS_SESSION_TOKEN') || undefined,
      ...(Number.isNaN(expiration.getTime()) ? {} : { expiration }),
    },
    source: 'environment AWS_ACCESS_KEY_ID',
    files: [],
  };
}

async function byWebIdentity({ services: { env }, sdk }: Context): Promise<Found | undefined> {
  const [file, arn] = [env['AWS_WEB_IDENTITY_TOKEN_FILE'], env['AWS_ROLE_ARN']];
  if (!file || !arn) return undefined;
  const token = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new CountersignError(
      'CREDENTIAL_UNAVAILABLE',
      `AWS_WEB_IDENTITY_TOKEN_FILE can't be read (${(error as { code?: string }).code ?? 'unreadable'}).`,
    );
  });
  return { credentials: await sdk.webIdentity(arn, token.trim()), source: `web identity as ${arn}`, files: [file] };
}

async function inDefaultProfile(context: Context): Promise<Found | undefined> {
  const settings = await readProfile(context.files, 'default');
  return settings && Object.keys(settings).some((key) => SOURCES.test(key)) ? inProfile('default', context) : undefined;
}

async function fromMachine({ services }: Context): Promise<Found> {
  const { env } = services;
  if (env['AWS_CONTAINER_CREDENTIALS_RELATIVE_URI'] || env['AWS_CONTAINER_CREDENTIALS_FULL_URI']) {
    return { credentials: await containerCredentials(services), source: 'container credentials', files: [] };
  }
  if (env['AWS_EC2_METADATA_DISABLED'] !== 'true') {
    try {
      return { credentials: await instanceCredentials(services), source: 'instance metadata', files: [] };
    } catch (error) {
      if (env['AWS_EC2_METADATA_SERVICE_ENDPOINT']) throw fault('instance metadata', error);
    }
  }
  throw new CountersignError(
    'CREDENTIAL_UNAVAILABLE',
    'There are no AWS credentials: not in the environment, in no profile, and neither a container nor an instance gives any.',
    {
      remedy:
        'Set AWS_PROFILE (or "profile" in "auth"), or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; `aws configure sso` or `aws configure` makes a profile.',
    },
  );
}
