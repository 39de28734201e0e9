/** A notification of a server, as it came. */
export interface Notification {
  readonly method: string;
  readonly params?: Readonly<Record<string, unknown>> | undefined;
}

/** A notification as a line for the person. The text is the server's, and not yet safe to show. */
export function notificationText(server: string, { method, params = {} }: Notification): string {
  const changed = /^notifications\/(\w+)\/list_changed$/.exec(method)?.[1];
  if (changed !== undefined) return `${server}: the list of ${changed} changed`;
  switch (method) {
    case 'notifications/message':
      return `${server}: ${text(params['level'])}${params['logger'] === undefined ? '' : ` ${text(params['logger'])}`}: ${text(params['data'])}`;
    case 'notifications/resources/updated':
      return `${server}: resource updated: ${text(params['uri'])}`;
    default:
      return `${server}: ${method.replace(/^notifications\//, '')} ${JSON.stringify(params)}`;
  }
}

const text = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value ?? null));
