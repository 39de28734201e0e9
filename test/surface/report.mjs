// The public surface of a package: every export by name with its declaration, comments left out. `node test/surface/report.mjs` writes the reports that
// surface.test.mjs pins; a change of them is a change that semantic versioning has a word for (docs/versioning.md).
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import process from 'node:process';
import ts from 'typescript';

const root = fileURLToPath(new URL('../..', import.meta.url));
export const reports = join(root, 'test/surface/reports');

/** The folders of packages that export something. */
export function libraries() {
  return readdirSync(join(root, 'packages')).filter(
    (name) => JSON.parse(readFileSync(join(root, 'packages', name, 'package.json'), 'utf8')).exports?.['.'],
  );
}

/** @param {string[]} folders @returns {Map<string, string>} */
export function surfaces(folders) {
  const entries = folders.map((folder) => join(root, 'packages', folder, 'src/index.ts'));
  const { config } = ts.readConfigFile(join(root, 'tsconfig.base.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  const program = ts.createProgram(entries, { ...options, composite: false, incremental: false, noEmit: true });
  const checker = program.getTypeChecker();
  const printer = ts.createPrinter({ removeComments: true });
  return new Map(
    folders.map((folder, index) => {
      const source = program.getSourceFile(entries[index] ?? '');
      const module = source && checker.getSymbolAtLocation(source);
      const lines = (module ? checker.getExportsOfModule(module) : []).map((symbol) =>
        describe(symbol, checker, printer),
      );
      return [folder, `${lines.sort().join('\n')}\n`];
    }),
  );
}

/** @param {ts.Symbol} exported @param {ts.TypeChecker} checker @param {ts.Printer} printer */
function describe(exported, checker, printer) {
  const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
  const [declaration] = symbol.declarations ?? [];
  if (!declaration) return exported.name;
  if (ts.isInterfaceDeclaration(declaration) || ts.isTypeAliasDeclaration(declaration)) {
    return printer.printNode(ts.EmitHint.Unspecified, declaration, declaration.getSourceFile()).replace(/\s+/g, ' ');
  }
  const type = checker.getTypeOfSymbolAtLocation(symbol, declaration);
  if (ts.isClassDeclaration(declaration)) {
    const members = checker
      .getPropertiesOfType(checker.getDeclaredTypeOfSymbol(symbol))
      .filter(({ name }) => !name.startsWith('__#'));
    return `class ${exported.name} { ${members
      .map(
        (member) =>
          `${nameOf(member)}: ${checker.typeToString(checker.getTypeOfSymbolAtLocation(member, declaration), undefined, FORMAT)}`,
      )
      .sort()
      .join('; ')} }`;
  }
  return `${exported.name}: ${checker.typeToString(type, declaration, FORMAT)}`;
}

const FORMAT = ts.TypeFormatFlags.NoTruncation | ts.TypeFormatFlags.UseAliasDefinedOutsideCurrentScope;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  mkdirSync(reports, { recursive: true });
  for (const [folder, text] of surfaces(libraries())) writeFileSync(join(reports, `${folder}.txt`), text);
}

/** TypeScript numbers a well-known symbol anew for each program: `__@iterator@675`. @param {import('typescript').Symbol} member */
function nameOf({ name }) {
  return name.replace(/^__@(\w+)@\d+$/, '[Symbol.$1]');
}
