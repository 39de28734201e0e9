/** Milliseconds to wait by a Retry-After field (RFC 9110 10.2.3: seconds or a date); undefined when there is none or it is neither. */
export function retryAfter(field: string | undefined, now: number): number | undefined {
  const text = field?.trim();
  if (!text) return undefined;
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  if (!/^[A-Z][a-z]{2,8}, /.test(text)) return undefined;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
