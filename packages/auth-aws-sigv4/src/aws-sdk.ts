import type * as sdkTypes from '@aws-sdk/credential-providers';
import { CountersignError, endpointFetch, excerpt, isCountersignError, type AuthServices } from '@countersign/core';
import { sdkHttp } from './sdk-http.js';
import type { SharedFiles } from './shared-config.js';
import type { AwsCredentials } from './sign.js';

export type Sdk = typeof sdkTypes;

export interface SdkSettings {
  readonly services: Pick<AuthServices, 'env' | 'fetch' | 'clock' | 'server'>;
  readonly files: SharedFiles;
  /** Where STS is asked, unless AWS_ENDPOINT_URL_STS says it. */
  readonly region: string;
  readonly sessionName: string | undefined;
  readonly load: () => Promise<Sdk>;
}

/** What STS is asked for. */
interface Assumption {
  readonly RoleArn?: string | undefined;
  readonly RoleSessionName?: string | undefined;
  readonly WebIdentityToken?: string | undefined;
}

const SDK = '@aws-sdk/credential-providers';
const SDK_VERSION = '~3.1173.0';

/** The AWS SDK's credential providers, for what needs STS, SSO or a sign-in: loaded at first use, talking through our fetch, with errors of ours. */
export class AwsSdk {
  readonly #settings: SdkSettings;
  readonly #http;
  readonly #sts;
  /** The last fault on the way to an endpoint. */
  #fault: CountersignError | undefined;

  constructor(settings: SdkSettings) {
    this.#settings = settings;
    const { services, region } = settings;
    this.#http = sdkHttp(endpointFetch(services).fetch, (error) => {
      if (isCountersignError(error)) this.#fault = error;
    });
    const endpoint = services.env['AWS_ENDPOINT_URL_STS'] || services.env['AWS_ENDPOINT_URL'];
    this.#sts = { region, requestHandler: this.#http, ...(endpoint ? { endpoint } : {}) };
  }

  /** A profile's SSO session, web identity or sign-in. `settings` are the profile's own. */
  async profile(name: string, settings: Readonly<Record<string, string>>): Promise<AwsCredentials> {
    const sdk = await this.#sdk(`For the AWS profile ${name}`);
    const { files } = this.#settings;
    const init = {
      profile: name,
      filepath: files.credentials,
      configFilepath: files.config,
      ignoreCache: true, // else an edited file is not read again
      logger: silent,
      clientConfig: { requestHandler: this.#http },
      parentClientConfig: { region: this.#sts.region, requestHandler: this.#http },
      roleAssumerWithWebIdentity: (params: Assumption) => this.#assumeByToken(sdk, params),
    };
    // fromIni would read an SSO profile from the standard files, and from its cache.
    const sso = !settings['web_identity_token_file'] && Object.keys(settings).some((key) => key.startsWith('sso_'));
    const provider = sso ? sdk.fromSSO(init) : sdk.fromIni(init as never);
    return this.#asking(`AWS profile ${name}`, { name, settings }, () => provider());
  }

  /** Assumes a role. `settings` are those of its profile. */
  async role(
    arn: string,
    from: AwsCredentials,
    settings: Readonly<Record<string, string | undefined>>,
  ): Promise<AwsCredentials> {
    const sdk = await this.#sdk('To assume a role');
    const duration = Number(settings['duration_seconds']);
    const params = {
      RoleArn: arn,
      RoleSessionName: this.#sessionName({ RoleSessionName: settings['role_session_name'] }),
      ExternalId: settings['external_id'],
      ...(duration > 0 ? { DurationSeconds: duration } : {}),
    };
    const provider = sdk.fromTemporaryCredentials({
      masterCredentials: from as never,
      params,
      clientConfig: this.#sts,
      logger: silent,
    });
    return this.#asking(`role ${arn}`, undefined, () => provider());
  }

  async webIdentity(arn: string, token: string): Promise<AwsCredentials> {
    const sdk = await this.#sdk('For web identity');
    return this.#asking('web identity', undefined, () =>
      this.#assumeByToken(sdk, { RoleArn: arn, WebIdentityToken: token }),
    );
  }

  #assumeByToken(sdk: Sdk, params: Assumption): Promise<AwsCredentials> {
    return sdk.fromWebToken({
      roleArn: params.RoleArn ?? '',
      webIdentityToken: params.WebIdentityToken ?? '',
      roleSessionName: this.#sessionName(params),
      clientConfig: this.#sts as never,
      logger: silent,
    })();
  }

  /** The SDK makes one up for each renewal, which fills a role's audit trail with strangers. */
  #sessionName({ RoleSessionName: configured }: Assumption): string {
    if (configured !== undefined && !configured.startsWith('aws-sdk-js-')) return configured;
    const { services, sessionName } = this.#settings;
    return (
      sessionName ??
      (services.env['AWS_ROLE_SESSION_NAME'] ||
        `countersign-${services.server.name.replace(/[^\w+=,.@-]/g, '-')}`.slice(0, 64))
    );
  }

  async #sdk(purpose: string): Promise<Sdk> {
    process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true'; // it would write to stderr
    try {
      return await this.#settings.load();
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

/** An error of a source of credentials, as one of ours. */
export function fault(source: string, error: unknown): CountersignError {
  if (isCountersignError(error)) return error;
  const text = said(error);
  if (/TimeoutError|timed? ?out/i.test(`${(error as Error).name} ${text}`))
    return new CountersignError('TIMEOUT', `AWS ${source.replace(/^AWS /, '')} did not answer in time.`);
  return new CountersignError('CREDENTIAL_UNAVAILABLE', `No credentials by ${source}: ${text}`);
}

/** An SDK error in one line. What may hold a secret (a command and its output, a piece of an unreadable answer) is left out. */
function said(error: unknown): string {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  if (message.startsWith('Command failed')) return 'a credential_process failed.';
  if (/JSON|Unexpected (?:token|end)/.test(message) && !message.startsWith('Profile '))
    return 'the answer is not the JSON that it should be.';
  const line = excerpt(message.split(/[\r\n]/)[0] ?? '', 300);
  return /^(?:Error|CredentialsProviderError|TokenProviderError)$/.test(name) ? line : `${name}: ${line}`;
}

const nothing = (): void => undefined;
const silent = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing };
