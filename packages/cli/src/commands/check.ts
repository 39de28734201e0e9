import { findCountersignError, type CheckReport, type Finding } from '@countersign/core';
import type { Context, RunCommand } from '../context.js';
import { EXIT } from '../exit-code.js';
import { failure } from '../failure.js';

/** `check [--strict]`: what is wrong or unsafe in the configuration, without the network. */
export const run: RunCommand = async (context, _words, options) => {
  const report = await reportOf(context);
  if (context.screen.json) context.screen.document(report);
  else print(context, report);
  const strict = options['strict'] === true;
  return report.errors.length > 0 || (strict && report.warnings.length > 0) ? EXIT.usage : EXIT.done;
};

// A configuration that can't be used at all is a finding like any other.
async function reportOf(context: Context): Promise<CheckReport> {
  try {
    return (await context.app()).check();
  } catch (error) {
    const known = findCountersignError(error);
    if (!known || known.code === 'CONFIG_NOT_FOUND') throw error;
    const { message, remedy, server } = failure(error, undefined, context.address);
    return {
      ok: false,
      errors: [{ code: known.code, message, remedy, ...(server === undefined ? {} : { server }) }],
      warnings: [],
    };
  }
}

function print({ screen }: Context, { errors, warnings }: CheckReport): void {
  const line = (mark: string, { message, remedy }: Finding): string => `${mark} ${screen.shown(message)}
  ${screen.style('dim', screen.shown(remedy))}`;
  for (const error of errors) screen.print(line(screen.style('red', 'error'), error));
  for (const warning of warnings) screen.print(line(screen.style('yellow', 'warning'), warning));
  const count = (number: number, word: string): string => `${number} ${word}${number === 1 ? '' : 's'}`;
  screen.print(
    errors.length + warnings.length === 0
      ? 'The configuration is fine.'
      : `${count(errors.length, 'error')}, ${count(warnings.length, 'warning')}`,
  );
}
