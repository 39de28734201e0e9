import type * as sdkTypes from '@aws-sdk/credential-providers';
import { CountersignError, endpointFetch, isCountersignError, type AuthServices } from '@countersign/core';
import { containerCredentials } from './container-credentials.js';
import { processCredentials } from './credential-process.js';
import { instanceCredentials } from './instance-metadata.js';
import type { SigV4Options } from './options.js';
import { sdkHttp } from './sdk-http.js';
import { readProfile, sharedFiles } from './shared-config.js';
import type { AwsCredentials } from './sign.js';

type Sdk = typeof sdkTypes;
type Services = Pick<AuthServices, 'env' | 'fetch' | 'clock' | 'server' | 'conceal'>;

/** Credentials, and where they are from: "AWS profile dev". */
export interface Found {
  readonly credentials: AwsCredentials;
  readonly source: string;
  /** Files whose edit changes the credentials. */
  readonly files: readonly string[];
}

const SDK = '@aws-sdk/credential-providers';
const SDK_VERSION = '~3.1173.0';
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
  const chain = new CredentialChain(options, services, region, load);
  const found = await chain.find();
  return options.roleArn === undefined ? found : chain.assume(options.roleArn, found);
}

class CredentialChain {
  readonly #options: SigV4Options;
  readonly #services: Services;
  readonly #load: () => Promise<Sdk>;
  readonly #files;
  readonly #http;
  readonly #sts;
  /** The last fault on the way to an endpoint. */
  #fault: CountersignError | undefined;

  constructor(options: SigV4Options, services: Services, region: string, load: () => Promise<Sdk>) {
    this.#options = options;
    this.#services = services;
    this.#load = load;
    const { env } = services;
    this.#files = sharedFiles(env);
    this.#http = sdkHttp(endpointFetch(services).fetch, (error) => {
      if (isCountersignError(error)) this.#fault = error;
    });
    const endpoint = env['AWS_ENDPOINT_URL_STS'] || env['AWS_ENDPOINT_URL'];
    this.#sts = { region, requestHandler: this.#http, ...(endpoint ? { endpoint } : {}) };
  }

  async find(): Promise<Found> {
    const { env } = this.#services;
    const { credentials, profile } = this.#options;
    if (credentials) return { credentials, source: 'configuration', files: [] };
    if (profile) return this.#profile(profile);
    if (env['AWS_ACCESS_KEY_ID'] || env['AWS_SECRET_ACCESS_KEY']) return environment(env);
    if (env['AWS_PROFILE']) return this.#profile(env['AWS_PROFILE']);
    return this.#everywhere();
  }

  async assume(role: string, base: Found): Promise<Found> {
    const sdk = await this.#sdk('To assume a role');
    const credentials = await this.#asking(`role ${role}`, undefined, () =>
      this.#assumeRole(sdk, base.credentials, { RoleArn: role, ExternalId: this.#options.externalId }),
    );
    return { credentials, source: `role ${role} by ${base.source}`, files: base.files };
  }

  async #profile(name: string): Promise<Found> {
    const settings = await readProfile(this.#files, name);
    if (!settings) {
      throw new CountersignError(
        'CREDENTIAL_UNAVAILABLE',
        `There is no AWS profile ${name} in ${this.#files.config} or ${this.#files.credentials}.`,
        { remedy: 'Name one of the profiles that `aws configure list-profiles` shows.' },
      );
    }
    const source = `AWS profile ${name}`;
    const files = [this.#files.config, this.#files.credentials];
    const {
      aws_access_key_id: accessKeyId,
      aws_secret_access_key: secretAccessKey,
      aws_session_token: sessionToken,
    } = settings;
    if (accessKeyId && secretAccessKey && !settings['role_arn'])
      return { credentials: { accessKeyId, secretAccessKey, sessionToken }, source, files };
    const { role_arn: role, web_identity_token_file: tokenFile, credential_process: command } = settings;
    if (command && !role && !tokenFile)
      return { credentials: await processCredentials(command, source, this.#services), source, files };
    const sdk = await this.#sdk(`For ${source}`);
    const init = {
      profile: name,
      filepath: this.#files.credentials,
      configFilepath: this.#files.config,
      ignoreCache: true, // else an edited file is not read again
      logger: silent,
      clientConfig: { requestHandler: this.#http },
      parentClientConfig: { region: this.#sts.region, requestHandler: this.#http },
      roleAssumer: (from: AwsCredentials, params: { RoleArn?: string | undefined }) =>
        this.#assumeRole(sdk, from, params),
      roleAssumerWithWebIdentity: (params: {
        RoleArn?: string | undefined;
        RoleSessionName?: string | undefined;
        WebIdentityToken?: string | undefined;
      }) =>
        sdk.fromWebToken({
          roleArn: params.RoleArn ?? '',
          webIdentityToken: params.WebIdentityToken ?? '',
          roleSessionName: this.#sessionName(params),
          clientConfig: this.#sts as never,
        })(),
    };
    // fromIni would read an SSO profile from the standard files, and from its cache.
    const sso = !role && !tokenFile && Object.keys(settings).some((key) => key.startsWith('sso_'));
    const provider = sso ? sdk.fromSSO(init) : sdk.fromIni(init);
    const credentials = await this.#asking(source, { name, settings }, () => provider());
    return {
      credentials,
      source,
      files: [...files, ...(tokenFile ? [tokenFile] : [])],
    };
  }

  async #everywhere(): Promise<Found> {
    const { env } = this.#services;
    if (env['AWS_WEB_IDENTITY_TOKEN_FILE'] && env['AWS_ROLE_ARN']) {
      const [webIdentityTokenFile, roleArn] = [env['AWS_WEB_IDENTITY_TOKEN_FILE'], env['AWS_ROLE_ARN']];
      const sdk = await this.#sdk('For web identity');
      const provider = sdk.fromTokenFile({
        webIdentityTokenFile,
        roleArn,
        roleSessionName: this.#sessionName({}),
        clientConfig: this.#sts as never,
        logger: silent,
      });
      return {
        credentials: await this.#asking('web identity', undefined, () => provider()),
        source: `web identity as ${roleArn}`,
        files: [webIdentityTokenFile],
      };
    }
    const settings = await readProfile(this.#files, 'default');
    if (settings && Object.keys(settings).some((key) => SOURCES.test(key))) return this.#profile('default');
    if (env['AWS_CONTAINER_CREDENTIALS_RELATIVE_URI'] || env['AWS_CONTAINER_CREDENTIALS_FULL_URI']) {
      return { credentials: await containerCredentials(this.#services), source: 'container credentials', files: [] };
    }
    if (env['AWS_EC2_METADATA_DISABLED'] !== 'true') {
      try {
        return {
          credentials: await instanceCredentials(this.#services),
          source: 'instance metadata',
          files: [],
        };
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

  #assumeRole(
    sdk: Sdk,
    from: AwsCredentials,
    params: { RoleArn?: string | undefined; RoleSessionName?: string | undefined; ExternalId?: string | undefined },
  ) {
    return sdk.fromTemporaryCredentials({
      masterCredentials: from as never,
      params: { ...params, RoleArn: params.RoleArn, RoleSessionName: this.#sessionName(params) },
      clientConfig: this.#sts,
      logger: silent,
    })();
  }

  /** The SDK makes one up for each renewal, which fills a role's audit trail with strangers. */
  #sessionName({ RoleSessionName: configured }: { RoleSessionName?: string | undefined }): string {
    if (configured !== undefined && !configured.startsWith('aws-sdk-js-')) return configured;
    const { env, server } = this.#services;
    return (
      this.#options.roleSessionName ??
      (env['AWS_ROLE_SESSION_NAME'] || `countersign-${server.name.replace(/[^\w+=,.@-]/g, '-')}`.slice(0, 64))
    );
  }

  async #sdk(purpose: string): Promise<Sdk> {
    process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true'; // it would write to stderr
    try {
      return await this.#load();
    } catch (error) {
      if (
        (error as { code?: string }).code !== 'ERR_MODULE_NOT_FOUND' &&
        (error as { code?: string }).code !== 'MODULE_NOT_FOUND'
      )
        throw error;
      throw new CountersignError(
        'CREDENTIAL_UNAVAILABLE',
        `${purpose}, the package ${SDK} is needed, and it is not installed.`,
        { remedy: `Run \`npm i ${SDK}@${SDK_VERSION}\`.` },
      );
    }
  }

  /** Runs the SDK and gives its errors a name. */
  async #asking(
    source: string,
    profile: { name: string; settings: Record<string, string> } | undefined,
    ask: () => Promise<AwsCredentials>,
  ): Promise<AwsCredentials> {
    this.#fault = undefined;
    try {
      return await ask();
    } catch (error) {
      if (this.#fault) throw this.#fault as CountersignError;
      const text = said(error);
      const name = profile?.name ?? 'default';
      if (profile?.settings['login_session'] && /login|expired|session/i.test(text)) {
        throw new CountersignError('LOGIN_REQUIRED', `The session of ${source} has ended.`, {
          remedy: `Run \`aws login --profile ${name}\`.`,
        });
      }
      if (
        /sso login|SSO session|SSO token|Session token not found|UnauthorizedException/i.test(text) ||
        (/SSO/i.test(text) && /expired|invalid|not found/i.test(text))
      ) {
        throw new CountersignError('LOGIN_REQUIRED', `The SSO session of ${source} has ended, or was never begun.`, {
          remedy: `Run \`aws sso login --profile ${name}\`.`,
        });
      }
      throw fault(source, error);
    }
  }
}

function environment(env: Services['env']): Found {
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

function fault(source: string, error: unknown): CountersignError {
  const text = said(error);
  if (/TimeoutError|timed? ?out/i.test(`${(error as Error).name} ${text}`))
    return new CountersignError('TIMEOUT', `AWS ${source.replace(/^AWS /, '')} did not answer in time.`);
  return new CountersignError('CREDENTIAL_UNAVAILABLE', `AWS credentials by ${source} failed: ${text}`);
}

/** An SDK error in one line. What may hold a secret (a command and its output, a piece of an unreadable answer) is left out. */
function said(error: unknown): string {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  if (/JSON|Unexpected (?:token|end)/.test(message) && !message.startsWith('Profile '))
    return 'the answer is not the JSON that it should be.';
  const line = message.split(/[\r\n]/)[0]?.slice(0, 300) ?? '';
  return /^(?:Error|CredentialsProviderError|TokenProviderError)$/.test(name) ? line : `${name}: ${line}`;
}

const nothing = (): void => undefined;
const silent = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing };
