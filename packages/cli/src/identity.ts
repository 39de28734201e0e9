import type { Countersign, CredentialStatus } from '@countersign/core';

/** Who a server's credential is, as `whoami` and `login` show it. */
export type Identity = Omit<CredentialStatus, 'principal'> & {
  /** Null where the credential doesn't say. */
  readonly principal: string | null;
  readonly server: string;
  readonly profile: string;
  readonly method: string;
};

/** Asks the server's providers, and with `detail` their vendor, who the credential is. */
export async function identity(app: Countersign, name: string, detail = false): Promise<Identity> {
  const status = await app.status(name, { detail });
  const server = app.servers.find((entry) => entry.name === name);
  return {
    server: name,
    profile: server?.profile ?? 'default',
    method: server?.auth.join(', ') || 'none',
    ...status,
    principal: status.principal ?? null,
  };
}

/** When a credential ends, for a person: "in 42 min", "3 h ago". */
export function fromNow(date: Date, now: number): string {
  const seconds = Math.round((date.getTime() - now) / 1000);
  const [amount, unit] = scaled(Math.abs(seconds));
  return seconds < 0 ? `${amount} ${unit} ago` : `in ${amount} ${unit}`;
}

function scaled(seconds: number): [number, string] {
  if (seconds < 120) return [seconds, 's'];
  if (seconds < 7200) return [Math.round(seconds / 60), 'min'];
  return seconds < 172_800 ? [Math.round(seconds / 3600), 'h'] : [Math.round(seconds / 86_400), 'days'];
}
