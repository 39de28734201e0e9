import type { PreviewedHeader } from '@countersign/core';

const MASK = '****';

/** A header's value for a screen: of a sensitive one only the scheme of its credential remains. */
export function masked({ name, value, sensitive }: PreviewedHeader): string {
  if (!sensitive) return value;
  const scheme = /authorization$/i.test(name) ? /^[A-Za-z][A-Za-z0-9-]{1,31}(?= )/.exec(value)?.[0] : undefined;
  return scheme === undefined ? MASK : `${scheme} ${MASK}`;
}
