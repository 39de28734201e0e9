const SENSITIVE_NAME =
  /(?:^|[-_])(?:authorization|cookie|dpop)$|(?:key|token|secret|password|signature|assertion|credential)$/i;

/** True for a header (or option) whose value is a credential by its name (R15). */
export function isSensitiveName(name: string): boolean {
  return SENSITIVE_NAME.test(name);
}

/** What providers put on requests that a person needs to see when something is wrong, and that opens no door. */
const PUBLIC_NAME =
  /^(?:x-amz-date|x-amz-content-sha256|x-goog-user-project|amz-sdk-invocation-id|x-mcp-[\w-]+|accept|user-agent)$/;

export function isPublicName(name: string): boolean {
  return PUBLIC_NAME.test(name);
}

/** The secrets that an instance knows, and the means to hide them. */
export interface Redactor {
  /**
   * Hides the value from now on: raw, base64, URL-encoded and JSON-escaped. Values under 8 characters are left to their header's name.
   * A `passing` one (a signature, a token of the hour) is hidden until some hundreds of others have followed it.
   */
  conceal(secret: string, passing?: boolean): void;
  redact(text: string): string;
}

const MASK = '[redacted]';
const MINIMUM = 8;
/** Schemes of an Authorization header: they are no secret, and what follows them is one by itself. */
const SCHEME =
  /^(?:basic|bearer|digest|dpop|gnap|hawk|hoba|key|mutual|negotiate|ntlm|oauth|privatetoken|scram-[\w-]+|sharedkey|signature|ssws|token|vapid|api-?key|aws4-[\w-]+) +(?=\S)/i;
/** What may be a scheme of somebody's own, or the first word of a passphrase. */
const WORD = /^[A-Za-z][\w-]* +(?=\S)/;
const BASIC = /^basic +(?=\S)/i;
const CAPACITY = 2048;
/** Computed values come and go with each request; the newest are the ones that can still be printed. */
const PASSING_CAPACITY = 256;

export function createRedactor(): Redactor {
  const lasting = new Map<string, string[]>();
  const passing = new Map<string, string[]>();
  let patterns: string[] | undefined;

  /** A server that is given `Basic …` knows the password in it, and may say it. */
  function concealBasic(value: string, isPassing: boolean): void {
    const pair = Buffer.from(value, 'base64').toString('utf8');
    redactor.conceal(pair, isPassing);
    redactor.conceal(pair.slice(pair.indexOf(':') + 1), isPassing);
  }

  function keep(value: string, isPassing: boolean): void {
    const secrets = isPassing ? passing : lasting;
    if (value.length < MINIMUM || lasting.has(value) || secrets.has(value)) return;
    secrets.set(value, []); // its forms are not computed before something is to be printed
    if (secrets.size > (isPassing ? PASSING_CAPACITY : CAPACITY)) secrets.delete(secrets.keys().next().value as string);
    patterns = undefined;
  }

  const redactor: Redactor = {
    conceal(secret, isPassing = false) {
      const value = secret.replace(SCHEME, '').trim();
      if (BASIC.test(secret)) concealBasic(value, isPassing);
      keep(value, isPassing);
      keep(value.replace(WORD, ''), isPassing);
    },
    redact(text) {
      patterns ??= [lasting, passing]
        .flatMap((secrets) =>
          [...secrets].flatMap(([secret, known]) => {
            if (known.length === 0) known.push(...forms(secret));
            return known;
          }),
        )
        .sort((a, b) => b.length - a.length);
      let result = text;
      for (const pattern of patterns) if (result.includes(pattern)) result = result.replaceAll(pattern, MASK);
      return result.replace(
        /\b(authorization|cookie)(["']?\s*[:=]\s*["']?)(?:[A-Za-z][\w-]* )?(?!\$\{)[^\s"'[,]{4,}/gi,
        `$1$2${MASK}`,
      );
    },
  };
  return redactor;
}

function forms(secret: string): string[] {
  const base64 = [0, 1, 2].map((shift) => {
    // The middle of the encoding at each alignment, so that the secret is found inside a longer encoded text.
    const encoded = Buffer.concat([Buffer.alloc(shift), Buffer.from(secret)])
      .toString('base64')
      .replace(/=+$/, '');
    return encoded.slice(
      shift === 0 ? 0 : shift + 1,
      encoded.length - ((Buffer.byteLength(secret) + shift) % 3 === 0 ? 0 : 1),
    );
  });
  const encoded = [encodeURIComponent(secret), new URLSearchParams({ s: secret }).toString().slice(2)];
  const all = [
    secret,
    ...encoded,
    ...encoded.map((text) => text.replace(/%[\dA-F]{2}/g, (byte) => byte.toLowerCase())),
    JSON.stringify(secret).slice(1, -1),
    JSON.stringify(JSON.stringify(secret)).slice(3, -3), // an answer that holds JSON as text
    ...base64,
  ];
  return [...new Set([...all, ...base64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_'))])].filter(
    (form) => form.length >= MINIMUM,
  );
}

/** Hides secrets in an error and its causes (8 deep), messages and stacks, in place. */
export function redactError(error: unknown, redactor: Redactor): unknown {
  let current = error;
  for (let depth = 0; depth < 8 && current instanceof Error; depth++) {
    const message = redactor.redact(current.message);
    if (message !== current.message) {
      current.message = message;
      if (current.stack) current.stack = redactor.redact(current.stack);
    }
    current = current.cause;
  }
  return error;
}
