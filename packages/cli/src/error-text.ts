import type { Failure } from './failure.js';
import type { Screen } from './screen.js';

/** A failure as a person reads it: what happened, and under it what mends it, broken between words to fit the terminal. `lead` stands before it. */
export function errorText(
  screen: Pick<Screen, 'shown' | 'columns'>,
  { message, remedy }: Pick<Failure, 'message' | 'remedy'>,
  lead: string,
  style: { readonly lead: (text: string) => string; readonly remedy: (text: string) => string },
): string {
  const { columns } = screen;
  const said = wrapped(`${lead} ${screen.shown(message)}`, columns, '  ').replace(lead, () => style.lead(lead));
  return `${said}\n  ${style.remedy(wrapped(screen.shown(remedy), columns && columns - 2, '  '))}`;
}

/** The text with lines of at most so many columns, broken at spaces; a longer word keeps its line. */
export function wrapped(text: string, columns: number | undefined, indent = ''): string {
  if (columns === undefined) return text;
  return text
    .split('\n')
    .map((paragraph) => {
      let width = 0;
      return paragraph.replace(/(^| )([^ ]*)/g, (_, space: string, word: string) => {
        const fits = width === 0 || width + space.length + word.length <= columns;
        width = fits ? width + space.length + word.length : indent.length + word.length;
        return fits ? space + word : `\n${indent}${word}`;
      });
    })
    .join('\n');
}
