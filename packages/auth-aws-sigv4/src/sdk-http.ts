/** The part of a Smithy HTTP request that an adapter reads. */
interface SdkRequest {
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number;
  readonly path: string;
  readonly query?: Record<string, string | string[] | null>;
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body?: unknown;
}

/**
 * Sends the AWS SDK's requests (STS, SSO) through our own fetch: our proxy, certificates, caps and deadline.
 * `failed` hears of what went wrong on the way, which the SDK keeps to itself.
 */
export function sdkHttp(fetch: typeof globalThis.fetch, failed: (error: unknown) => void) {
  return {
    metadata: { handlerProtocol: 'http/1.1' },
    async handle(request: SdkRequest, { abortSignal }: { abortSignal?: AbortSignal } = {}) {
      const url = new URL(
        `${request.protocol}//${request.hostname}${request.port ? `:${request.port}` : ''}${request.path}`,
      );
      for (const [name, value] of Object.entries(request.query ?? {}))
        for (const one of [value ?? ''].flat()) url.searchParams.append(name, one);
      // The service answers in the format of its protocol when nothing else is accepted.
      const headers: Record<string, string> = { accept: '*/*' };
      for (const [name, value] of Object.entries(request.headers))
        if (!/^(?:host|content-length|expect)$/i.test(name)) headers[name] = value;
      try {
        const response = await fetch(url, {
          method: request.method,
          headers,
          ...(request.body ? { body: request.body as string } : {}),
          redirect: 'manual',
          ...(abortSignal ? { signal: abortSignal } : {}),
        });
        const body = new Uint8Array(await response.arrayBuffer());
        return {
          response: {
            statusCode: response.status,
            reason: response.statusText,
            headers: Object.fromEntries(response.headers),
            body,
          },
        };
      } catch (error) {
        failed(error);
        throw error;
      }
    },
    updateHttpClientConfig(): void {},
    httpHandlerConfigs: () => ({}),
    destroy(): void {},
  };
}
