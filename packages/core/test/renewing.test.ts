import { expect, test } from '@jest/globals';
import { renewing, type Clock } from '@countersign/core';

function setup(life = 3_600_000) {
  let now = 1_000_000;
  let count = 0;
  let fail = false;
  const gates: (() => void)[] = [];
  const clock: Clock = { now: () => now, sleep: async () => undefined };
  const credential = renewing(async () => {
    count++;
    const name = `c${count}`;
    await new Promise<void>((open) => gates.push(open));
    if (fail) throw new Error('refused');
    return { name, expiresAt: now + life };
  }, clock);
  const settle = async (): Promise<void> => {
    while (gates.length) gates.shift()?.();
    await new Promise((done) => setImmediate(done));
  };
  return {
    credential,
    settle,
    count: () => count,
    advance: (ms: number) => void (now += ms),
    failing: (value: boolean) => void (fail = value),
  };
}

test('fifty that ask at once share one renewal', async () => {
  const { credential, settle, count } = setup();
  const all = Promise.all(Array.from({ length: 50 }, () => credential.get()));
  await settle();
  expect(new Set((await all).map((one) => one.name))).toEqual(new Set(['c1']));
  expect(count()).toBe(1);
});

test('is renewed in the background in its last four minutes, while the old one is given out', async () => {
  const { credential, settle, count, advance } = setup();
  void credential.get();
  await settle();
  advance(57 * 60_000);
  expect((await credential.get()).name).toBe('c1');
  expect(count()).toBe(2);
  await settle();
  expect((await credential.get()).name).toBe('c2');
});

test('an expired one is never given out', async () => {
  const { credential, settle, advance } = setup(3000);
  void credential.get();
  await settle();
  advance(3000);
  const next = credential.get();
  await settle();
  expect((await next).name).toBe('c2');
});

test('a background renewal that fails leaves the valid one in use, and the next asks again', async () => {
  const { credential, settle, advance, failing, count } = setup();
  void credential.get();
  await settle();
  advance(57 * 60_000);
  failing(true);
  await credential.get();
  await settle();
  expect((await credential.get()).name).toBe('c1');
  expect(count()).toBe(3);
});

test('one that gives up does not end the renewal for the others', async () => {
  const { credential, settle, count } = setup();
  const impatient = new AbortController();
  const first = credential.get(impatient.signal);
  const second = credential.get();
  impatient.abort(new Error('gone'));
  await expect(first).rejects.toThrow('gone');
  await settle();
  expect((await second).name).toBe('c1');
  expect(count()).toBe(1);
});

test('dropping a credential that is no longer current changes nothing; dropping all forgets a renewal under way', async () => {
  const { credential, settle } = setup();
  void credential.get();
  await settle();
  const first = await credential.get();
  credential.drop({ name: 'other', expiresAt: 0 });
  expect(credential.current).toBe(first);
  credential.drop(first);
  expect(credential.current).toBeUndefined();
  const stale = credential.get();
  credential.drop();
  await settle();
  await stale;
  expect(credential.current).toBeUndefined();
});

test('is renewed when the clock was set back', async () => {
  const { credential, settle, advance } = setup();
  void credential.get();
  await settle();
  advance(-7_200_000);
  const next = credential.get();
  await settle();
  expect((await next).name).toBe('c2');
});
