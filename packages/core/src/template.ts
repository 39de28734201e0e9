import type { OutgoingRequest } from './auth-provider.js';
import { CountersignError } from './errors.js';

/** A variable reference of a template: `${NAME}`, `${env:NAME}` or `${request:field}`, each with an optional `:-default`. */
export interface Reference {
  readonly kind: 'variable' | 'env' | 'request';
  readonly name: string;
  readonly fallback: string | undefined;
}

export const REQUEST_FIELDS = ['timestamp', 'date', 'nonce', 'method', 'host', 'path'] as const;
export type RequestField = (typeof REQUEST_FIELDS)[number];

/** Answers a reference; `undefined` means that it has no value. */
export type Resolve = (reference: Reference) => string | undefined | Promise<string | undefined>;

/** A text with `${…}` in it, parsed once and rendered per attempt. One pass: a value that contains `${…}` is not expanded again. */
export class Template {
  readonly text: string;
  readonly parts: readonly (string | Reference)[];
  readonly references: readonly Reference[];

  /** Throws INVALID_TEMPLATE, which quotes the reference at fault if it has both braces. `subject` says where the text stands: "Header X-Key of server orders". */
  constructor(text: string, subject = 'The text') {
    this.text = text;
    this.parts = parse(text, subject);
    this.references = this.parts.filter((part): part is Reference => typeof part !== 'string');
  }

  /** The text is `${NAME}` and nothing else, without a default: a header of it may be left out. */
  get bare(): Reference | undefined {
    const [only, ...rest] = this.parts;
    return typeof only === 'object' && only.kind === 'variable' && only.fallback === undefined && rest.length === 0
      ? only
      : undefined;
  }

  /** Renders the text, or answers the first reference without a value. */
  async render(resolve: Resolve): Promise<{ text: string } | { missing: Reference }> {
    let text = '';
    for (const part of this.parts) {
      if (typeof part === 'string') {
        text += part;
        continue;
      }
      const answer = resolve(part);
      const value = (typeof answer === 'object' ? await answer : answer) ?? part.fallback;
      if (value === undefined) return { missing: part };
      text += value;
    }
    return { text };
  }
}

/** A template with its server's variables behind it, as `AuthServices.template` lends it. */
export interface BoundTemplate {
  readonly template: Template;
  /**
   * Renders for a request, or for a child's environment without one. `undefined`: the text is `${NAME}` alone and its provider has no value.
   * Throws UNRESOLVED_VARIABLE, which names `subject` ("Header X-Key") and the variable.
   */
  render(subject: string, request: OutgoingRequest | undefined, signal?: AbortSignal): Promise<string | undefined>;
}

const NAME = /^[A-Za-z_][\w.-]*$/;

function parse(text: string, subject: string): (string | Reference)[] {
  const parts: (string | Reference)[] = [];
  let literal = '';
  let at = 0;
  for (;;) {
    const open = text.indexOf('${', at);
    if (open < 0) break;
    if (text[open - 1] === '$' && open - 1 >= at) {
      literal += text.slice(at, open - 1) + '${';
      at = open + 2;
      continue;
    }
    literal += text.slice(at, open);
    const close = text.indexOf('}', open);
    const inside = close < 0 ? undefined : text.slice(open + 2, close);
    const reference = inside === undefined ? undefined : parseReference(inside);
    if (!reference) {
      // Without its brace it may be the middle of a secret that was written out: then nothing is quoted.
      const what =
        close < 0
          ? 'a ${ without its }'
          : `${JSON.stringify(text.slice(open, Math.min(close + 1, open + 80)))}, which is not a variable reference`;
      throw new CountersignError('INVALID_TEMPLATE', `${subject} holds ${what}.`);
    }
    if (literal) parts.push(literal);
    literal = '';
    parts.push(reference);
    at = close + 1;
  }
  literal += text.slice(at);
  if (literal) parts.push(literal);
  return parts;
}

function parseReference(inside: string): Reference | undefined {
  const split = inside.indexOf(':-');
  const head = split < 0 ? inside : inside.slice(0, split);
  const fallback = split < 0 ? undefined : inside.slice(split + 2);
  if (NAME.test(head)) return { kind: 'variable', name: head, fallback };
  const colon = head.indexOf(':');
  const kind = head.slice(0, colon);
  const name = head.slice(colon + 1);
  if (kind === 'env' && NAME.test(name)) return { kind, name, fallback };
  if (kind === 'request' && (REQUEST_FIELDS as readonly string[]).includes(name)) return { kind, name, fallback };
  return undefined;
}
