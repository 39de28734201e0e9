import { expect, failureOf, told, within } from './expectations.js';
import { expectAccepted, settled, type Behaviour } from './provider-bench.js';

/** What a provider tells of itself, and how it ends. */
export const UPKEEP: Readonly<Record<string, Behaviour>> = {
  async 'tells its status'({ start }) {
    const instance = await start();
    if (!instance.provider.status) return void (await expectAccepted(instance.post(), 'A POST'));
    for (const moment of ['before the first request', 'after it']) {
      const status = await within(Promise.resolve(instance.provider.status()), `\`status\` did not answer ${moment}`);
      expect(
        typeof status?.source === 'string' && status.source.length > 0,
        `\`status\` ${moment} names no source: say where the credential comes from ("environment ACME_TOKEN").`,
      );
      expect(
        ['ready', 'login_required', 'failed', 'unused'].includes(status.state),
        `\`status\` ${moment} has the state ${JSON.stringify(status.state)}: it is ready, login_required, failed or unused.`,
      );
      expect(
        status.expiresAt === undefined ||
          (status.expiresAt instanceof Date && !Number.isNaN(status.expiresAt.getTime())),
        `\`status\` ${moment} has an expiresAt that is no Date.`,
      );
      await settled(instance.post());
    }
  },

  async 'can be closed, used or not, and twice'({ start }) {
    for (const use of [false, true]) {
      const instance = await start();
      const { provider } = instance;
      if (use) await settled(instance.post());
      for (let n = 0; n < 2; n++) {
        const failure = await within(
          failureOf(Promise.resolve().then(() => provider.dispose?.())),
          '`dispose` did not end',
        );
        expect(
          failure === undefined,
          `\`dispose\` failed with ${told(failure)} on a provider that was ${use ? '' : 'not '}used${n ? ', the second time' : ''}: it ends what there is, and nothing else.`,
        );
      }
    }
  },
};
