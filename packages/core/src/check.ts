import type { CheckReport, Finding } from './countersign.js';
import type { Chain } from './chain.js';
import type { Configuration, ServerConfiguration } from './configuration.js';
import { FOREIGN_FIELDS, serverEntry } from './configuration-schema.js';
import { CountersignError, findCountersignError } from './errors.js';
import { isLoopback } from './origin.js';
import { isSensitiveName } from './redactor.js';
import type { Registry } from './registry.js';
import { fieldsOf, secretStrings } from './schema.js';
import type { Server } from './server.js';
import { nearest } from './suggestion.js';
import { Template } from './template.js';
import { isCoreVariable } from './variables.js';

type CheckError = CheckReport['errors'][number];

export interface CheckContext {
  readonly configuration: Configuration;
  readonly registry: Registry;
  readonly env: Readonly<Record<string, string | undefined>>;
  open(name: string): Server;
}

/** Everything that is wrong or unsafe in a configuration, found without the network. */
export function checkConfiguration(context: CheckContext): CheckReport {
  const errors: CheckError[] = [];
  const warnings: Finding[] = [];
  if (context.env['NODE_TLS_REJECT_UNAUTHORIZED'] === '0') {
    warnings.push({
      code: 'TLS_VALIDATION_OFF',
      message: 'NODE_TLS_REJECT_UNAUTHORIZED=0 turns certificate validation off for the whole process.',
      remedy: 'Unset it, and give your organisation\'s authority as "ca" or in NODE_EXTRA_CA_CERTS.',
    });
  }
  for (const configured of context.configuration.servers.values()) {
    warnings.push(...unknownFields(configured, context.registry), ...literalSecrets(configured, context.registry));
    try {
      const server = context.open(configured.name);
      warnings.push(...passedOver(server));
      errors.push(...insecure(server, context.configuration), ...unresolved(configured, server.chain, context));
      context.registry.transportProvider(configured.transport);
    } catch (error) {
      errors.push(toFinding(error, configured.name));
    }
  }
  return { ok: errors.length === 0, errors, warnings };
}

function toFinding(error: unknown, server: string): CheckError {
  const known =
    findCountersignError(error) ??
    new CountersignError('CONFIG_INVALID', `Server ${server}: ${(error as Error).message}`, { server });
  return { code: known.code, message: known.message, server, remedy: known.remedy };
}

function unknownFields({ name, raw, transport }: ServerConfiguration, registry: Registry): Finding[] {
  const definition = registry.transportProviders.find(({ type }) => type === transport);
  const known = [...fieldsOf(serverEntry), ...(definition ? fieldsOf(definition.options) : [])];
  return Object.keys(raw)
    .filter((field) => !known.includes(field) && !FOREIGN_FIELDS.has(field))
    .map((field) => {
      const near = nearest(field, known);
      return {
        code: 'UNKNOWN_FIELD',
        message: `Server ${name} has an unknown field ${JSON.stringify(field.slice(0, 80))}.`,
        server: name,
        field,
        remedy: near ? `Did you mean "${near}"?` : 'Remove it, or look it up in docs/configuration.md.',
      };
    });
}

function literalSecrets({ name, auth, entry }: ServerConfiguration, registry: Registry): Finding[] {
  const literals: string[] = [];
  const look = (field: string, value: unknown, secret: boolean): void => {
    if (typeof value === 'string' && secret && value.length > 0 && !value.includes('${')) literals.push(field);
  };
  for (const { method, options } of auth) {
    const definition = registry.authProviders.find(({ type }) => type === method);
    for (const [field, value] of Object.entries(options)) {
      if (field === 'headers' && typeof value === 'object' && value !== null) {
        for (const [header, text] of Object.entries(value)) look(`headers.${header}`, text, isSensitiveName(header));
      } else if (!definition) look(`auth.${field}`, value, isSensitiveName(field));
    }
    if (definition)
      for (const [path, value] of secretStrings(definition.options, options)) look(`auth.${path}`, value, true);
  }
  if (entry.url !== undefined && URL.canParse(entry.url))
    for (const [key, value] of new URL(entry.url).searchParams) look(`url.${key}`, value, isSensitiveName(key));
  for (const [key, value] of Object.entries(entry.env ?? {})) look(`env.${key}`, value, isSensitiveName(key));
  return literals.map((field) => ({
    code: 'LITERAL_SECRET',
    message: `Server ${name} has a secret written out in ${field}.`,
    server: name,
    field,
    remedy: `Put it in the environment or in .env, and write "\${${field.split('.').pop()?.replace(/\W+/g, '_').toUpperCase() ?? 'SECRET'}}" (with its scheme before it) in its place.`,
  }));
}

function passedOver({ name, chain }: Server): Finding[] {
  return chain.passedOver.map((header) => ({
    code: 'TRANSPORT_HEADER',
    message: `Server ${name} configures the header ${header}, which the transport sets; it is passed over.`,
    server: name,
    field: `headers.${header}`,
    remedy: 'Remove it.',
  }));
}

function insecure({ name, url, secret }: Server, { allowInsecureHttp }: Configuration): CheckError[] {
  if (
    url?.protocol !== 'http:' ||
    !secret ||
    isLoopback(url.hostname) ||
    allowInsecureHttp.includes(url.host) ||
    allowInsecureHttp.includes(url.hostname)
  )
    return [];
  const error = new CountersignError(
    'CREDENTIAL_OVER_HTTP',
    `Server ${name} is at ${url.origin}: its credential would travel unencrypted.`,
  );
  return [{ code: error.code, message: error.message, server: name, field: 'url', remedy: error.remedy }];
}

/** References that nothing answers. What a provider computes is not computed here. */
function unresolved(
  { name, auth, entry }: ServerConfiguration,
  { members }: Chain,
  { registry, env }: CheckContext,
): CheckError[] {
  const texts: [string, string][] = [
    ...Object.entries(entry.env ?? {}).map(([key, value]): [string, string] => [`Environment variable ${key}`, value]),
  ];
  for (const { method, options } of auth) {
    for (const [field, value] of Object.entries(options)) {
      if (typeof value === 'string') texts.push([`Field auth.${field}`, value]);
      else if (method === 'headers' && typeof value === 'object' && value !== null)
        for (const [header, text] of Object.entries(value)) texts.push([`Header ${header}`, String(text)]);
    }
  }
  const answers = (variable: string): boolean =>
    Boolean(env[variable]) ||
    isCoreVariable(variable) ||
    registry.variableSources.some(({ names }) =>
      names instanceof RegExp ? names.test(variable) : names.includes(variable),
    ) ||
    registry.authProviders.some(
      (definition) =>
        (definition.variables?.includes(variable) || definition.signatures?.includes(variable)) &&
        members.some(({ type }) => type === definition.type),
    );
  return texts.flatMap(([subject, text]) =>
    new Template(text, `${subject} of server ${name}`).references
      .filter(
        ({ kind, name: variable, fallback }) =>
          fallback === undefined && (kind === 'env' ? !env[variable] : kind === 'variable' && !answers(variable)),
      )
      .map(({ name: variable }): CheckError => {
        const error = new CountersignError(
          'UNRESOLVED_VARIABLE',
          `${subject} of server ${name} needs ${variable}, which is not set.`,
        );
        return {
          code: error.code,
          message: error.message,
          server: name,
          field: subject
            .replace(/^Header /, 'headers.')
            .replace(/^Environment variable /, 'env.')
            .replace(/^Field /, ''),
          remedy: error.remedy,
        };
      }),
  );
}
