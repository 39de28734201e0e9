import { createServer, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}
type Answer = string | { status: number; body: string } | Promise<string>;

/** An endpoint on loopback in the place of one of AWS's, which remembers what it was asked. */
export async function startEndpoint(answer: (asked: Asked, count: number) => Answer) {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    void (async () => {
      const one = {
        method: request.method ?? '',
        path: request.url ?? '',
        headers: request.headers,
        body: await text(request),
      };
      asked.push(one);
      const given = await answer(one, asked.length);
      response
        .writeHead(typeof given === 'string' ? 200 : given.status)
        .end(typeof given === 'string' ? given : given.body);
    })();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** What a container's or an instance's endpoint answers. */
export const document = (key: string, secret: string, token: string, expiration: Date): string =>
  JSON.stringify({ AccessKeyId: key, SecretAccessKey: secret, Token: token, Expiration: expiration.toISOString() });

/** What STS answers to AssumeRole and AssumeRoleWithWebIdentity. */
export const assumed = (action: string, key: string, secret: string, token: string, expiration: Date): string =>
  `<${action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><${action}Result><AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/r/s</Arn><AssumedRoleId>A:s</AssumedRoleId></AssumedRoleUser><Credentials><AccessKeyId>${key}</AccessKeyId><SecretAccessKey>${secret}</SecretAccessKey><SessionToken>${token}</SessionToken><Expiration>${expiration.toISOString()}</Expiration></Credentials></${action}Result></${action}Response>`;
