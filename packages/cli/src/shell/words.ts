/**
 * The words of a line: separated by spaces, held together by single or double quotes, with a backslash before a character that means itself.
 * A word that begins with `{` or `[` is JSON, and takes the rest of the line as it stands. Never throws: an open quote ends with the line.
 */
export function wordsOf(line: string): string[] {
  const words: string[] = [];
  let at = 0;
  for (;;) {
    while (/\s/.test(line[at] ?? '')) at++;
    if (at >= line.length) return words;
    if (words.length > 0 && (line[at] === '{' || line[at] === '[')) return [...words, line.slice(at).trim()];
    const { word, end } = wordAt(line, at);
    words.push(word);
    at = end;
  }
}

function wordAt(line: string, start: number): { word: string; end: number } {
  let word = '';
  let quote: string | undefined;
  let at = start;
  for (; at < line.length; at++) {
    const character = line[at] ?? '';
    if (quote === undefined && /\s/.test(character)) break;
    if (character === quote) quote = undefined;
    else if (quote === undefined && (character === '"' || character === "'")) quote = character;
    else if (character === '\\' && quote !== "'" && at + 1 < line.length) word += line[++at] ?? '';
    else word += character;
  }
  return { word, end: at };
}
