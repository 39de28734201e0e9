/** A request as one command for a POSIX shell, that starts with `curl `. */
export function curlCommand(request: {
  method: string;
  url: URL;
  headers: readonly (readonly [string, string])[];
  body: string | undefined;
}): string {
  const words = ['curl', '-sS', '-i', '-N'];
  // A stream that is opened by GET never ends by itself.
  if (request.method === 'GET') words.push('--max-time', '10');
  else words.push('-X', request.method);
  words.push(quoted(request.url.href));
  for (const [name, value] of request.headers) {
    // Without a value curl would drop the header; `name;` sends it empty.
    words.push('-H', quoted(value === '' ? `${name};` : `${name}: ${value}`));
  }
  if (request.body !== undefined) words.push('--data-binary', quoted(request.body));
  return words.join(' ');
}

const quoted = (word: string): string => (/^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);
