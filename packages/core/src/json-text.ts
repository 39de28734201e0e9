import { createScanner, parseTree, printParseErrorCode, type Node, type ParseError } from 'jsonc-parser';
import { CountersignError } from './errors.js';

const MAX_BYTES = 4 * 1024 * 1024;
const MAX_DEPTH = 64;

/**
 * Reads JSON with comments and trailing commas into plain records. A duplicate key, `__proto__`, a depth over 64 or more than 4 MB is
 * CONFIG_INVALID, with the line. `subject` names the file.
 */
export function parseJsonText(text: string, subject: string): unknown {
  if (text.length > MAX_BYTES)
    throw new CountersignError('CONFIG_INVALID', `${subject} is larger than ${MAX_BYTES / 1024 / 1024} MB.`);
  const source = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  const fail = (what: string, offset: number): never => {
    throw new CountersignError(
      'CONFIG_INVALID',
      `${subject}, line ${source.slice(0, offset).split('\n').length}: ${what}.`,
    );
  };
  limitDepth(source, (offset) => fail(`nested deeper than ${MAX_DEPTH} levels`, offset));
  const errors: ParseError[] = [];
  const tree = parseTree(source, errors, { allowTrailingComma: true, disallowComments: false });
  const [first] = errors;
  if (first) return fail(sentence(printParseErrorCode(first.error)), first.offset);
  if (!tree) return fail('there is no JSON value', 0);
  return toValue(tree, fail);
}

/** Before the parser, which recurses. */
function limitDepth(source: string, fail: (offset: number) => never): void {
  const scanner = createScanner(source, true);
  let depth = 0;
  for (scanner.scan(); scanner.getTokenOffset() < source.length; scanner.scan()) {
    const first = source[scanner.getTokenOffset()]; // a string begins with its quote, a comment with its slash
    if (first === '{' || first === '[') {
      if (++depth > MAX_DEPTH) fail(scanner.getTokenOffset());
    } else if (first === '}' || first === ']') depth--;
  }
}

function toValue(node: Node, fail: (what: string, offset: number) => never): unknown {
  if (node.type === 'array') return (node.children ?? []).map((child) => toValue(child, fail));
  if (node.type !== 'object') return node.value as unknown;
  const record: Record<string, unknown> = {};
  for (const { children } of node.children ?? []) {
    const [key, value] = children ?? [];
    if (!key || !value) continue;
    const name = key.value as string;
    if (name === '__proto__') fail('the key "__proto__" is not allowed', key.offset);
    if (Object.hasOwn(record, name))
      fail(`the key ${JSON.stringify(name.slice(0, 80))} stands there twice`, key.offset);
    record[name] = toValue(value, fail);
  }
  return record;
}

/** "CloseBraceExpected" → "close brace expected". */
function sentence(code: string): string {
  return code.replace(/([a-z])([A-Z])/g, '$1 $2').toLowerCase();
}
