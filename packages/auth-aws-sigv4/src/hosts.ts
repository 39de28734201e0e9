/** What a host's name says of the AWS service behind it. */
export interface AwsHost {
  /** The name in the credential scope. */
  readonly service: string;
  readonly region: string;
  /** How the body goes into the signature there, where that is not the usual. */
  readonly payload?: 'unsigned';
}

interface Row {
  /** As people read it, in errors and in the documentation. */
  readonly shape: string;
  /** `region`, and `service` unless the row has its own. */
  readonly pattern: RegExp;
  readonly service?: string;
  readonly payload?: AwsHost['payload'];
}

const REGION = String.raw`(?<region>[a-z]{2,4}(?:-[a-z]+)+-\d+)`;
const row = (shape: string, pattern: string, rest: Pick<Row, 'service' | 'payload'> = {}): Row => ({
  shape,
  pattern: new RegExp(`^${pattern.replace('REGION', REGION)}$`),
  ...rest,
});

/** The first row that fits counts. */
export const HOSTS: readonly Row[] = [
  row(
    '*.gateway.bedrock-agentcore.<region>.amazonaws.com',
    String.raw`.+\.gateway\.bedrock-agentcore\.REGION\.amazonaws\.com`,
    { service: 'bedrock-agentcore' },
  ),
  row(
    'bedrock-agentcore.<region>.amazonaws.com',
    String.raw`(?:.+\.)?bedrock-agentcore(?:-control)?(?:-fips)?\.REGION\.(?:vpce\.)?amazonaws\.com`,
    { service: 'bedrock-agentcore' },
  ),
  row(
    '*.execute-api.<region>[.vpce].amazonaws.com[.cn]',
    String.raw`.+\.execute-api\.REGION\.(?:vpce\.)?amazonaws\.com(?:\.cn)?`,
    { service: 'execute-api' },
  ),
  row('*.execute-api.<region>.api.aws', String.raw`.+\.execute-api\.REGION\.api\.aws`, { service: 'execute-api' }),
  row('<service>.<region>.api.aws', String.raw`(?:.+\.)?(?<service>[a-z0-9-]+)\.REGION\.api\.aws`),
  row('*.lambda-url.<region>.on.aws', String.raw`.+\.lambda-url\.REGION\.on\.aws`, { service: 'lambda' }),
  row('*.vpc-lattice-svcs.<region>.on.aws', String.raw`.+\.vpc-lattice-svcs\.REGION\.on\.aws`, {
    service: 'vpc-lattice-svcs',
    payload: 'unsigned',
  }),
  row('<service>.<region>.amazonaws.com[.cn]', String.raw`(?<service>[a-z0-9-]+)\.REGION\.amazonaws\.com(?:\.cn)?`),
];

/** Finds the service and region of an AWS host; `undefined` for any other host. */
export function awsHost(hostname: string): AwsHost | undefined {
  const name = hostname.toLowerCase().replace(/\.$/, '');
  for (const { pattern, service, payload } of HOSTS) {
    const found = pattern.exec(name)?.groups;
    if (found)
      return {
        service: service ?? found['service'] ?? '',
        region: found['region'] ?? '',
        ...(payload ? { payload } : {}),
      };
  }
  return undefined;
}

/** The table in a sentence: `*.lambda-url.<region>.on.aws (lambda), …`. */
export function knownHosts(): string {
  return HOSTS.map(({ shape, service }) => (service ? `${shape} (${service})` : shape)).join(', ');
}
