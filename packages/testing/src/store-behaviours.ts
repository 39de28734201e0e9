import type { SecretStore } from '@countersign/core';
import { expect, failureOf, told, within } from './expectations.js';

/** A behaviour that every store has to show, on keys that begin with `key`. It throws what is to be mended. */
export type StoreBehaviour = (open: () => Promise<SecretStore>, key: string) => Promise<void>;

/** What providers rely on. */
export const STORE_BEHAVIOURS: Readonly<Record<string, StoreBehaviour>> = {
  async 'answers undefined for a key that it does not have'(open, key) {
    const value = await (await open()).get(key);
    expect(
      value === undefined,
      `get of an unknown key answered ${JSON.stringify(value)}: answer undefined (not null, not "").`,
    );
  },

  async 'keeps what an update answers'(open, key) {
    const [store, other] = [await open(), await open()];
    const seen: unknown[] = [];
    const put = (value: string): Promise<string | undefined> =>
      store.update(key, async (current) => (seen.push(current), value));
    const answered = await put('one');
    expect(answered === 'one', `update resolved to ${JSON.stringify(answered)}: resolve to what \`change\` answered.`);
    await put('two');
    expect(
      seen[0] === undefined && seen[1] === 'one',
      `\`change\` was called with ${JSON.stringify(seen)}: call it with the stored value, or undefined when there is none.`,
    );
    expect((await store.get(key)) === 'two', 'get does not answer the value of the last update.');
    const shared = await other.get(key);
    expect(
      shared === 'two',
      `A second store answered ${JSON.stringify(shared)}: update must have written when it resolves, and get must look for what others wrote.`,
    );
  },

  async 'sees what another store wrote after it read'(open, key) {
    const [store, other] = [await open(), await open()];
    await store.update(key, async () => 'one');
    await other.get(key);
    await store.update(key, async () => 'two');
    const seen = await other.get(key);
    expect(
      seen === 'two',
      `get answered ${JSON.stringify(seen)} after another store wrote "two": don't answer from a cache without asking whether the value changed.`,
    );
    await store.update(key, async () => 'three');
    let current: string | undefined;
    await other.update(key, async (value) => (current = value));
    expect(
      current === 'three',
      `\`change\` was called with ${JSON.stringify(current)} after another store wrote "three": read the value again when the lock is held.`,
    );
  },

  async 'deletes by delete, and by an update to undefined'(open, key) {
    const [store, other] = [await open(), await open()];
    await store.update(`${key}.a`, async () => 'x');
    await store.update(`${key}.b`, async () => 'x');
    await store.delete(`${key}.a`);
    const answered = await store.update(`${key}.b`, async () => undefined);
    expect(answered === undefined, 'An update whose `change` answers undefined must resolve to undefined.');
    for (const [name, one] of [
      ['The store', store],
      ['A second store', other],
    ] as const) {
      expect((await one.get(`${key}.a`)) === undefined, `${name} still has a value after delete.`);
      expect(
        (await one.get(`${key}.b`)) === undefined,
        `${name} still has a value after \`change\` answered undefined: that deletes it.`,
      );
    }
    const left: string[] = [];
    for await (const name of store.keys(key)) left.push(name);
    expect(left.length === 0, `keys still lists ${left.join(', ')} after they were deleted.`);
    const failure = await failureOf(store.delete(`${key}.never`));
    expect(
      failure === undefined,
      `delete of an unknown key rejected (${told(failure)}): it is done when the key is not there.`,
    );
  },

  async 'keeps any text as it is'(open, key) {
    const store = await open();
    const texts = {
      empty: '',
      lines: 'a\r\nb\n',
      zero: 'a\0b',
      unicode: 'ünïcode 🔑 \u2028',
      json: '{"a":"\\""}',
      number: '0123',
      long: 'x'.repeat(100_000),
    };
    for (const [name, text] of Object.entries(texts)) {
      await store.update(key, async () => text);
      const value = await store.get(key);
      expect(
        value === text,
        `A value (${name}) came back as ${JSON.stringify(value)?.slice(0, 60)} in place of ${JSON.stringify(text).slice(0, 60)}: values are opaque text, the empty one too.`,
      );
    }
  },

  async 'takes every key that the contract allows, and mixes none up'(open, key) {
    const store = await open();
    const suffixes = [
      'a.b',
      'a-b',
      'a_b',
      'axb',
      'a',
      'a.',
      'a.lock',
      'a.json',
      'a..b',
      ''.padEnd(200 - key.length - 1, 'z'),
    ];
    for (const suffix of suffixes) await store.update(`${key}.${suffix}`, async () => suffix);
    for (const suffix of suffixes) {
      const value = await store.get(`${key}.${suffix}`);
      expect(
        value === suffix,
        `The key "…${suffix.slice(0, 20)}" answers ${JSON.stringify(value?.slice(0, 20))}: keys are [0-9a-z._-]+ of up to 200 characters, and each has a value of its own.`,
      );
    }
    for (const suffix of suffixes) await store.delete(`${key}.${suffix}`);
  },

  async 'lists the keys with a prefix, literally'(open, key) {
    const store = await open();
    for (const suffix of ['_b.1', '_b.2', 'xb.1', '_b']) await store.update(key + suffix, async () => 'v');
    const listed: string[] = [];
    for await (const name of store.keys(`${key}_b.`)) listed.push(name);
    expect(listed.length === new Set(listed).size, `keys named one key twice: ${listed.join(', ')}.`);
    expect(
      listed.sort().join() === [`${key}_b.1`, `${key}_b.2`].join(),
      `keys("…_b.") listed ${listed.map((name) => `…${name.slice(key.length)}`).join(', ') || 'nothing'}, not "…_b.1, …_b.2": a prefix is literal, whole keys are answered, and "_" and "." are no wildcards.`,
    );
  },

  async 'runs one update of a key at a time'(open, key) {
    const stores = [await open(), await open()];
    await Promise.all(Array.from({ length: 20 }, (_, n) => stores[n % 2]!.update(key, slowly(add))));
    const value = await stores[0]!.get(key);
    expect(
      value === '20',
      `Twenty updates that add one, by two stores at once, gave ${JSON.stringify(value)}: hold the key's lock from the reading to the writing.`,
    );
  },

  async 'lets updates of different keys run side by side'(open, key) {
    const store = await open();
    let finish = (): void => undefined;
    const first = store.update(`${key}.a`, () => new Promise((done) => (finish = () => done('a'))));
    await within(
      store.update(`${key}.b`, async () => 'b'),
      "An update waited for the update of another key: the lock is the key's, not the store's",
    ).finally(() => finish());
    await first;
  },

  async 'answers get while an update is under way, with the old value'(open, key) {
    const [store, other] = [await open(), await open()];
    await store.update(key, async () => 'old');
    await store.update(key, async () => {
      for (const one of [store, other]) {
        const value = await within(one.get(key), 'get waited for an update under way: only updates take the lock');
        expect(
          value === 'old',
          `get answered ${JSON.stringify(value)} during an update: the value is the old one until it is written.`,
        );
      }
      return 'new';
    });
  },

  async 'frees the lock and keeps the value when the change throws'(open, key) {
    const [store, other] = [await open(), await open()];
    await store.update(key, async () => 'old');
    const failure = await failureOf(store.update(key, () => Promise.reject(new Error('of the change'))));
    expect(
      failure instanceof Error && failure.message === 'of the change',
      `An update whose \`change\` threw ended with ${told(failure) || 'success'}: pass the error of \`change\` on as it is.`,
    );
    for (const one of [store, other]) {
      const seen = await within(
        one.update(key, async (current) => current),
        'An update hung after an earlier `change` threw: free the lock in a finally',
      );
      expect(
        seen === 'old',
        `The value was ${JSON.stringify(seen)} after a \`change\` that threw: leave it as it was.`,
      );
    }
  },

  async 'lets a waiting update be aborted'(open, key) {
    const [store, other] = [await open(), await open()];
    let finish = (): void => undefined;
    let begun = (): void => undefined;
    const running = new Promise<void>((done) => (begun = done));
    const holder = store.update(key, () => {
      begun();
      return new Promise((done) => (finish = () => done('held')));
    });
    await running;
    let ran = false;
    for (const one of [store, other]) {
      const reason = new Error('enough');
      const abort = new AbortController();
      const waiting = failureOf(one.update(key, async () => ((ran = true), 'late'), abort.signal));
      setTimeout(() => abort.abort(reason), 20);
      const failure = await within(
        waiting,
        'An update that waits for the lock did not end when its signal aborted',
        2000,
      ).catch((error: unknown) => {
        finish();
        throw error;
      });
      expect(
        failure === reason,
        `An aborted update rejected with ${told(failure) || 'nothing'}: reject with the signal's reason.`,
      );
    }
    finish();
    expect(
      (await within(holder, 'The holder of the lock did not end after a waiter was aborted')) === 'held',
      "The abort of a waiter changed the holder's result.",
    );
    expect(!ran && (await store.get(key)) === 'held', 'The `change` of an aborted update ran all the same.');
  },

  async 'lets delete wait for an update under way, and win'(open, key) {
    const [store, other] = [await open(), await open()];
    let deleted: Promise<void> | undefined;
    await store.update(
      key,
      slowly(async () => ((deleted = other.delete(key)), 'refreshed')),
    );
    await within(deleted!, 'A delete that waited for an update did not end after it');
    const left = await store.get(key);
    expect(
      left === undefined,
      `The value is ${JSON.stringify(left)} after an update and a delete that came during it: delete takes the lock, or a logout is undone by a refresh.`,
    );
  },
};

const add = async (current: string | undefined): Promise<string> => String(Number(current ?? 0) + 1);

const slowly =
  (
    change: (current: string | undefined) => Promise<string | undefined>,
  ): ((current: string | undefined) => Promise<string | undefined>) =>
  async (current) => {
    const next = await change(current);
    await new Promise((done) => setTimeout(done, 5));
    return next;
  };
