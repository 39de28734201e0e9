/** The forms in which a secret can be read from a text: raw, URL-encoded, JSON-escaped, base64 at each alignment. */
export function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  const base64 = [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .replace(/=+$/, '');
    return text.slice(shift === 0 ? 0 : shift + 1, text.length - ((bytes.length + shift) % 3 === 0 ? 0 : 1));
  });
  const url = base64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_'));
  return [
    ...new Set([secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1), ...base64, ...url]),
  ].filter((form) => form.length >= 6);
}

/** The first of the secrets that a text holds, in any form. */
export function leakIn(text: string, secrets: readonly string[]): string | undefined {
  return secrets.find((secret) => formsOf(secret).some((form) => text.includes(form)));
}

/** All that an error shows: name, message, stack, own fields, and the same of its causes. */
export function textOf(error: unknown, depth = 0): string {
  if (depth > 8 || error === undefined || error === null) return '';
  if (!(error instanceof Error)) return JSON.stringify(error) ?? '';
  const { message, stack, cause } = error;
  let fields = '';
  try {
    fields = JSON.stringify(error);
  } catch {
    // A circular one shows no more than its parts.
  }
  return [message, stack, fields, textOf(cause, depth + 1)].join('\n');
}
