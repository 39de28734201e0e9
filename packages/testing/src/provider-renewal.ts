import { findCountersignError } from '@countersign/core';
import { expect, told, within } from './expectations.js';
import { expectAccepted, settled, type Behaviour } from './provider-bench.js';

/** How a provider answers refusals and aborts. */
export const RENEWAL: Readonly<Record<string, Behaviour>> = {
  async 'renews once for all who were refused'({ start, scenario, server }) {
    const instance = await start();
    const before = scenario.renewals?.() ?? 0;
    await Promise.all(
      Array.from({ length: 20 }, () => expectAccepted(instance.post(), 'One of twenty first requests')),
    );
    const first = (scenario.renewals?.() ?? 0) - before;
    expect(
      first <= 1,
      `Twenty requests at once made the provider obtain ${first} credentials: keep the promise of the one under way, and let all wait for it (core's \`renewing\`).`,
    );
    if (!instance.provider.challenge) return;
    expect(scenario.revoke, 'The provider has `challenge`: give the scenario `revoke`, so that its renewal is tested.');
    await scenario.revoke();
    const between = scenario.renewals?.() ?? 0;
    server.requests.length = 0;
    await Promise.all(
      Array.from({ length: 20 }, () =>
        expectAccepted(instance.post(), 'One of twenty requests after the credential was revoked'),
      ),
    );
    const second = (scenario.renewals?.() ?? 0) - between;
    expect(
      second <= 1,
      `Twenty requests with one revoked credential made the provider renew ${second} times: compare the refused credential with the current one, and share the renewal under way.`,
    );
  },

  async 'ends, when the server never accepts'({ start, server, scenario }) {
    for (const status of [401, 403]) {
      const instance = await start();
      const before = scenario.renewals?.() ?? 0;
      server.requests.length = 0;
      server.answer = () => ({ status, headers: { 'www-authenticate': 'Bearer error="invalid_token"' } });
      const outcome = await within(
        settled(instance.post()),
        `A request that is always answered ${status} did not end: \`challenge\` answers true or false, and never waits for the server to change its mind`,
        6000,
      );
      if (outcome instanceof Error)
        expect(
          findCountersignError(outcome),
          `A request that is always answered ${status} ended with ${told(outcome)}: throw a CountersignError, or answer false.`,
        );
      expect(
        server.requests.length <= 3,
        `A request that is always answered ${status} reached the server ${server.requests.length} times: \`challenge\` never sends it; the exchange does, at most twice more.`,
      );
      const renewals = (scenario.renewals?.() ?? 0) - before;
      expect(
        renewals <= 3,
        `A request that is always answered ${status} made the provider obtain ${renewals} credentials: one for each challenge is enough; the exchange counts.`,
      );
    }
  },

  async 'survives the abort of a request'({ start }) {
    const instance = await start();
    const abort = new AbortController();
    const begun = instance.authorizing();
    const first = settled(instance.post({ signal: abort.signal }));
    const second = instance.post();
    await begun;
    abort.abort(new Error('enough'));
    await within(first, 'A request did not end when it was aborted');
    await expectAccepted(
      second,
      'A request beside one that was aborted: a renewal belongs to all who wait, so it must not end with the signal of the first; it',
    );
    await expectAccepted(instance.post(), 'A request after one that was aborted: forget a renewal that failed; it');
  },
};
