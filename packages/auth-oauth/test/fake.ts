import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

type Handler = (request: IncomingMessage & { form: URLSearchParams }, response: ServerResponse) => unknown;

/** An MCP server and its authorization server in one, which tells whatever a test wants. Handlers by path; `json` members are served as they are. */
export interface Fake {
  readonly origin: string;
  readonly url: string;
  readonly requests: { method: string; path: string; headers: IncomingMessage['headers']; form: URLSearchParams }[];
  readonly handlers: Record<string, Handler>;
  /** Protected resource metadata. */
  prm: Record<string, unknown> | undefined;
  /** Authorization server metadata. */
  metadata: Record<string, unknown> | undefined;
  /** Tokens that the server accepts; undefined for any. */
  accepted: string | undefined;
  challenge: string | undefined;
  /** What the token endpoint answers. */
  token: { status?: number; body: unknown; headers?: Record<string, string> };
  asked(path: string): number;
  close(): Promise<void>;
}

export async function startFake(): Promise<Fake> {
  const server = createServer((request, response) => void answer(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const fake: Fake = {
    origin,
    url: `${origin}/mcp`,
    requests: [],
    handlers: {},
    prm: { resource: `${origin}/mcp`, authorization_servers: [origin] },
    metadata: {
      issuer: origin,
      authorization_endpoint: `${origin}/authorize`,
      token_endpoint: `${origin}/token`,
      registration_endpoint: `${origin}/register`,
      code_challenge_methods_supported: ['S256'],
      token_endpoint_auth_methods_supported: ['none'],
    },
    accepted: undefined,
    challenge: 'Bearer',
    token: { body: { access_token: 'access-token-1', token_type: 'Bearer', expires_in: 3600 } },
    asked: (path) => fake.requests.filter((one) => one.path === path).length,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };

  const json = (response: ServerResponse, status: number, body: unknown, headers = {}): void => {
    response
      .writeHead(status, { 'content-type': 'application/json', ...headers })
      .end(typeof body === 'string' ? body : JSON.stringify(body));
  };

  async function answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = '';
    for await (const chunk of incoming) text += String(chunk);
    const { pathname, searchParams } = new URL(incoming.url ?? '/', origin);
    const request = Object.assign(incoming, { form: new URLSearchParams(text) });
    fake.requests.push({
      method: incoming.method ?? '',
      path: pathname,
      headers: incoming.headers,
      form: request.form,
    });
    const handler = fake.handlers[pathname];
    if (handler) return void handler(request, response);
    switch (pathname) {
      case '/mcp': {
        const token = incoming.headers.authorization?.split(' ')[1];
        if (token && (fake.accepted === undefined || fake.accepted === token))
          return json(response, 200, { jsonrpc: '2.0', id: 1, result: {} });
        return json(response, 401, {}, fake.challenge === undefined ? {} : { 'www-authenticate': fake.challenge });
      }
      case '/.well-known/oauth-protected-resource/mcp':
        return fake.prm ? json(response, 200, fake.prm) : json(response, 404, {});
      case '/.well-known/oauth-authorization-server':
        return fake.metadata ? json(response, 200, fake.metadata) : json(response, 404, {});
      case '/register':
        return json(response, 201, { client_id: 'registered-client', ...JSON.parse(text) });
      case '/authorize': {
        const back = new URL(searchParams.get('redirect_uri') ?? '');
        back.searchParams.set('code', 'code-of-the-fake');
        back.searchParams.set('state', searchParams.get('state') ?? '');
        return void response.writeHead(302, { location: back.href }).end();
      }
      case '/token':
        return json(response, fake.token.status ?? 200, fake.token.body, fake.token.headers);
      default:
        return json(response, 404, {});
    }
  }
  return fake;
}

/** A browser that follows the fake's redirect at once; `change` alters the callback on its way. */
export async function visit(url: URL, change: (callback: URL) => void = () => undefined): Promise<void> {
  const { headers } = await fetch(url, { redirect: 'manual' });
  const callback = new URL(headers.get('location') ?? '');
  change(callback);
  await (await fetch(callback)).text();
}
