import { findCountersignError } from '@countersign/core';
import { expect, told, within } from './expectations.js';
import { settled, type Behaviour, type Bench } from './provider-bench.js';
import { recordMcpServer, type ReceivedRequest } from './recording-server.js';
import { leakIn } from './secrets.js';

/** What a provider keeps to itself. */
export const DISCRETION: Readonly<Record<string, Behaviour>> = {
  async 'stays on its origin'({ start, server, scenario }) {
    const other = await recordMcpServer();
    try {
      other.answer = () => ({ status: 404 });
      const instance = await start();
      const metadata = new URL('/.well-known/oauth-protected-resource', other.url).href;
      server.answer = () => ({
        status: 401,
        headers: { 'www-authenticate': `Bearer resource_metadata="${metadata}", realm="${other.url.href}"` },
      });
      await within(settled(instance.post()), 'A POST that was answered 401 did not end', 8000);
      server.answer = () => ({ status: 307, headers: { location: other.url.href } });
      await within(settled(instance.post()), 'A POST that was redirected did not end');
      const credentials = [...scenario.secrets, ...server.requests.flatMap(credentialsOf)];
      for (const request of other.requests) {
        const leak = leakIn(whole(request), credentials);
        expect(
          leak === undefined,
          `Another origin, which the server had named, received a credential (${request.method} ${request.url.pathname}): give credentials in \`authorize\` only, and ask other origins without them.`,
        );
      }
    } finally {
      await other.close();
    }
  },

  async 'sends nothing without its credential'({ start, server, scenario }) {
    if (scenario.env && Object.keys(scenario.env).length > 0)
      await expectRefusal(() => start({ env: {} }), 'without its environment', server.requests, scenario.accepts);
    if (scenario.cutOff) {
      await scenario.cutOff();
      await expectRefusal(() => start(), 'while its source of credentials fails', server.requests, scenario.accepts);
    }
    expect(
      scenario.env ?? scenario.cutOff,
      'Give the scenario `env` (and refer to it in the options) or `cutOff`, so that the lack of a credential is tested.',
    );
  },

  async 'shows no secret in a log, an error, its status or a URL'({ start, server, scenario }) {
    const secrets = scenario.secrets.filter((secret) => secret.length >= 8);
    const instance = await start();
    await settled(instance.post());
    server.answer = () => ({ status: 401, headers: { 'www-authenticate': 'Bearer error="invalid_token"' } });
    await within(settled(instance.post()), 'A POST that was answered 401 did not end', 8000);
    const status = JSON.stringify(await instance.provider.status?.()) ?? '';
    await scenario.cutOff?.();
    const cut = await start();
    await settled(cut.post());
    const bare = scenario.env ? await start({ env: {} }).catch(() => undefined) : undefined;
    if (bare) await settled(bare.post());
    const shown: [string, string][] = [
      ['`status` answered', status],
      ...[instance, cut, bare].flatMap((one): [string, string][] => [
        ...(one?.log ?? []).map((line): [string, string] => ['the log has', line]),
        ...(one?.errors ?? []).map((text): [string, string] => ['an error (or its cause) has', text]),
      ]),
      ...server.requests.map(({ url }): [string, string] => ["a request's URL has", url.href]),
    ];
    for (const [where, text] of shown) {
      const leak = leakIn(text, secrets);
      expect(
        leak === undefined,
        `A secret of the scenario shows: ${where} ${JSON.stringify(hide(text, leak ?? '').slice(0, 200))}. Write where a credential comes from, never what it is; attach no vendor's error that holds it.`,
      );
    }
    for (const secret of secrets)
      expect(
        !leakIn(instance.app.redact(server.requests.map(whole).join('\n')), [secret]),
        'A secret that went out with a request is unknown to the redactor: call services.conceal for every secret that you learn.',
      );
  },
};

async function expectRefusal(
  start: Bench['start'],
  when: string,
  requests: ReceivedRequest[],
  accepts: (request: ReceivedRequest) => boolean | Promise<boolean>,
): Promise<void> {
  requests.length = 0;
  const outcome = await within(
    settled(start().then((instance) => instance.post())),
    `A request ${when} did not end`,
    12_000,
  );
  const [sent] = requests;
  if (sent && (await accepts(sent))) return; // It had another source.
  expect(
    !sent,
    `A request ${when} went out all the same (${outcome instanceof Error ? told(outcome) : outcome.status}): throw in \`authorize\`, and nothing is sent.`,
  );
  expect(
    findCountersignError(outcome),
    `A request ${when} ended with ${told(outcome)}: throw a CountersignError, whose sentence says what is missing.`,
  );
}

const PLAIN = new Set([
  'accept',
  'content-type',
  'content-length',
  'host',
  'connection',
  'user-agent',
  'accept-encoding',
  'accept-language',
  'sec-fetch-mode',
  'transfer-encoding',
]);

/** What a request carries besides what every request does. */
function credentialsOf({ headers }: ReceivedRequest): string[] {
  return Object.entries(headers)
    .filter(([name]) => !PLAIN.has(name))
    .map(([, value]) => value.replace(/^[A-Za-z][\w-]* +/, ''))
    .filter((value) => value.length >= 8);
}

const whole = ({ url, headers, body }: ReceivedRequest): string => [url.href, JSON.stringify(headers), body].join('\n');

const hide = (text: string, secret: string): string => (secret ? text.replaceAll(secret, '[the secret]') : text);
