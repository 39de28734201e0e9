// A process that shares a store with others: node store-process.mjs BUNDLE DIRECTORY LOCK(JSON) DEED KEY [COUNT]
import process from 'node:process';

const [bundle, directory, lock, deed, key, count] = process.argv.slice(2);
const { fileStore } = await import(bundle);
const store = fileStore({ directory, lock: JSON.parse(lock) });
const say = (line) => new Promise((done) => process.stdout.write(`${line}\n`, done));
const add = async (current) => String(Number(current ?? 0) + 1);

if (deed === 'count') {
  for (let n = 0; n < Number(count); n++) await store.update(key, add);
} else if (deed === 'forever') {
  for (;;) {
    const stored = await store.update(key, add).catch((error) => {
      if (error.code !== 'LOCK_LOST') throw error; // A loaded machine may hold a heartbeat up.
    });
    if (stored) await say(stored);
  }
} else if (deed === 'hold') {
  const result = store.update(key, async () => {
    await say('holding');
    await new Promise((done) => process.stdin.once('data', done));
    return 'late';
  });
  await say(
    await result.then(
      (value) => `stored ${value}`,
      (error) => error.code,
    ),
  );
  process.exit();
} else if (deed === 'exit') {
  await store.update(key, async () => process.exit(0));
}
