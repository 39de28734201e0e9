// Writes the tables that the code knows better than we do: docs/errors.md, docs/configuration.md, docs/countersign.schema.json, and the options in each
// provider's page and README, between <!-- options --> and <!-- /options -->. With --check, fails when a file would change.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const check = process.argv.includes('--check');
const stale = [];

const { ERROR_CODES, configurationSchema, createCountersign } = await load('core');
const folders = readdirSync(join(root, 'packages'))
  .filter((name) => /^(auth|transport)-/.test(name))
  .sort();
const plugins = await Promise.all(folders.map(async (folder) => (await load(folder)).default));
const app = await createCountersign({ plugins, servers: { mcpServers: {} }, env: {} });
const installed = app.installed();
const schema = configurationSchema(installed);

write('docs/countersign.schema.json', `${JSON.stringify(schema, null, 2)}\n`);
write('docs/errors.md', errorsPage());
between('docs/configuration.md', 'fields', table(schema.$defs.server.properties));
between('docs/configuration.md', 'settings', table(schema.properties.countersign.properties));
for (const { type, options, variables, signatures } of [...installed.auth, ...installed.transports]) {
  const folder = folders.find((name) => name === `auth-${type}` || name === `transport-${type}`);
  const named = [...(variables ?? []), ...(signatures ?? [])];
  const text =
    table(optionsOf(options)) +
    (named.length > 0 ? `\n\nVariables: ${named.map((name) => `\`\${${name}}\``).join(', ')}.` : '');
  between(`packages/${folder}/README.md`, 'options', text);
  if (existsSync(join(root, `docs/providers/${type}.md`))) between(`docs/providers/${type}.md`, 'options', text);
}

if (check && stale.length > 0) {
  console.error(`Out of date: ${stale.join(', ')}. Run \`node scripts/generate-docs.mjs\` and commit.`);
  process.exitCode = 1;
}

function errorsPage() {
  const rows = Object.entries(ERROR_CODES).map(
    ([code, { when, remedy }]) => `| \`${code}\` | ${cell(when)} | ${cell(remedy)} |`,
  );
  return `# Errors

Every error that Countersign throws is a \`CountersignError\`: a \`code\` that programs match, one sentence with the fact at hand, and a \`remedy\`.
None holds a secret, a query string or a body. This page is generated from the code.

| code | when | what to do |
|---|---|---|
${rows.join('\n')}

The command line's exit codes: 0 done · 1 failed · 2 usage or configuration · 3 authentication · 4 unreachable or timed out · 5 the server answered with an error · 130 and 143 by signal.
`;
}

/** @param {Record<string, { description?: string, type?: string, enum?: unknown[], secret?: boolean }>} properties */
function table(properties) {
  const rows = Object.entries(properties).map(
    ([name, field]) =>
      `| \`${name}\` | ${cell(typeOf(field))} | ${cell(field.description ?? '')}${field.secret ? ' **Secret**: name a variable.' : ''} |`,
  );
  return rows.length === 0 ? 'None.' : `| field | type | meaning |\n|---|---|---|\n${rows.join('\n')}`;
}

function optionsOf(options) {
  if (options.properties) return options.properties;
  return Object.assign({}, ...(options.anyOf ?? options.oneOf ?? []).map(optionsOf));
}

function typeOf(field) {
  if (field.enum) return field.enum.map((value) => `\`${JSON.stringify(value)}\``).join(' or ');
  if (field.const !== undefined) return `\`${JSON.stringify(field.const)}\``;
  if (field.anyOf) return [...new Set(field.anyOf.map(typeOf))].join(' or ');
  if (field.type === 'array') return `list of ${field.items ? typeOf(field.items) : 'values'}`;
  return field.type ?? 'object';
}

function cell(text) {
  return String(text).replaceAll('|', '\\|').replaceAll('\n', ' ');
}

function between(file, name, text) {
  const path = join(root, file);
  const before = readFileSync(path, 'utf8');
  const marked = new RegExp(`(<!-- ${name} -->\n)[^]*?(<!-- /${name} -->)`);
  if (!marked.test(before)) throw new Error(`${file} has no <!-- ${name} --> … <!-- /${name} -->`);
  write(
    file,
    before.replace(marked, (_, start, end) => `${start}${text}\n${end}`),
  );
}

function write(file, text) {
  const path = join(root, file);
  if (existsSync(path) && readFileSync(path, 'utf8') === text) return;
  stale.push(file);
  if (!check) writeFileSync(path, text);
}

async function load(folder) {
  return import(pathToFileURL(join(root, 'packages', folder, 'dist/index.js')).href);
}

if (!check && stale.length > 0) console.log(`Wrote ${stale.join(', ')}`);
