import { randomUUID } from 'node:crypto';
import { describe, test } from '@jest/globals';
import { testAuthProvider } from '@countersign/testing';
import oauth from '../src/index.js';
import { startFake } from './fake.js';

const SECRET = 'client-secret-of-the-contract';

describe('the provider of OAuth keeps the contract', () => {
  testAuthProvider(test, {
    plugin: oauth,
    async scenario(server) {
      const fake = await startFake();
      let token = '';
      let issued = 0;
      let closed = false;
      fake.prm = { resource: server.url.href, authorization_servers: [fake.origin] };
      fake.handlers['/token'] = ({ form }, response) => {
        if (closed) return response.writeHead(500).end('out of order');
        issued++;
        token = form.get('client_secret') === SECRET ? `access-${randomUUID()}` : '';
        response
          .writeHead(token ? 200 : 401, { 'content-type': 'application/json' })
          .end(
            JSON.stringify(
              token ? { access_token: token, token_type: 'Bearer', expires_in: 3600 } : { error: 'invalid_client' },
            ),
          );
      };
      return {
        options: {
          grant: 'client_credentials',
          clientId: 'robot',
          clientSecret: '${ACME_SECRET}',
          tokenEndpointAuthMethod: 'client_secret_post',
          tokenEndpoint: `${fake.origin}/token`,
          issuer: fake.origin,
        },
        env: { ACME_SECRET: SECRET },
        secrets: [SECRET],
        accepts: ({ headers }) => token !== '' && headers['authorization'] === `Bearer ${token}`,
        revoke: () => void (token = ''),
        renewals: () => issued,
        cutOff: () => void (closed = true),
        dispose: () => fake.close(),
      };
    },
  });
});
