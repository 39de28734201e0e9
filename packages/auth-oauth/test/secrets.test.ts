import { expect, test } from '@jest/globals';
import { memoryStore } from '@countersign/core';
import { closeEverything, signInAt, startOidc } from '@countersign/test-servers';
import { inspect } from 'node:util';
import { startFake } from './fake.js';
import { call, client, person, storedCredential } from './support.js';

/** The forms in which a secret could slip out. */
const forms = (secret: string): string[] => [
  secret,
  encodeURIComponent(secret),
  Buffer.from(secret).toString('base64').replace(/=+$/, ''),
  JSON.stringify(secret).slice(1, -1),
];

/** Errors as a crash prints them: stack, cause and all. */
const crashed = (error: unknown): string => inspect(error, { depth: 10, showHidden: true });

test('no token, code, verifier or secret comes out of a sign-in, a refresh and their failures, though the server echoes what it is sent', async () => {
  const oidc = await startOidc();
  const store = memoryStore();
  const browser = person((url) => signInAt(url));
  const { app, log } = await client(oidc.resource, { store, interaction: browser });
  const errors: unknown[] = [];
  const secrets = new Set<string>();
  const learn = async (): Promise<void> => {
    const { accessToken, refreshToken } = await storedCredential(store);
    for (const value of [accessToken, refreshToken]) if (typeof value === 'string') secrets.add(value);
    for (const { body } of oidc.tokenRequests)
      for (const name of ['code', 'code_verifier', 'refresh_token', 'client_secret'])
        if (body.get(name)) secrets.add(body.get(name) as string);
  };
  const attempt = async (): Promise<void> => {
    await call(app, oidc.resource).catch((error: unknown) => errors.push(error));
    await learn();
  };
  await attempt();
  oidc.revokeAccessTokens();
  await attempt();
  oidc.revokeAccessTokens();
  oidc.faults.push(500, 500, 500);
  await attempt();
  const { refreshToken, accessToken } = await storedCredential(store);
  const echo = `You sent ${String(refreshToken)} with ${String(accessToken)}`;
  oidc.faults.push({ status: 400, body: JSON.stringify({ error: 'invalid_request', error_description: echo }) });
  await attempt();
  oidc.faults.push('cut');
  await attempt();
  const told = [
    ...log,
    ...errors.map(crashed),
    inspect(browser.events),
    inspect(await app.status('server', { detail: true })),
  ].join('\n');
  expect(secrets.size).toBeGreaterThanOrEqual(6);
  expect(errors.length).toBeGreaterThanOrEqual(2);
  for (const secret of secrets) for (const form of forms(secret)) expect(told).not.toContain(form);
  await app.close();
  await oidc.close();
  await closeEverything();
});

test('no configured secret comes out of a refused grant, in any of the ways to send it', async () => {
  const clientSecret = 'configured+secret/of the=client';
  for (const method of ['client_secret_basic', 'client_secret_post']) {
    const fake = await startFake();
    fake.handlers['/token'] = (request, response) =>
      response.writeHead(401, { 'content-type': 'application/json' }).end(
        JSON.stringify({
          error: 'invalid_client',
          error_description: `${request.form.toString()} ${request.headers.authorization ?? ''} ${clientSecret}`,
        }),
      );
    const { app, log } = await client(fake.url, {
      auth: {
        grant: 'client_credentials',
        clientId: 'x',
        clientSecret,
        tokenEndpoint: `${fake.origin}/token`,
        tokenEndpointAuthMethod: method,
      },
    });
    const error: unknown = await call(app, fake.url).catch((thrown: unknown) => thrown);
    const told = crashed(error) + log.join('\n');
    expect(told).toContain('invalid_client');
    for (const form of [...forms(clientSecret), Buffer.from(`x:${clientSecret}`).toString('base64')])
      expect(told).not.toContain(form);
    await app.close();
    await fake.close();
  }
});
