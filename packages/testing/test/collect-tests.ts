import type { TestFunction } from '../src/index.js';

/** Runs what a kit registers, and answers the messages of what failed, by the test's name. */
export async function failuresOf(register: (test: TestFunction) => void): Promise<Record<string, string>> {
  const bodies: [string, () => Promise<void>][] = [];
  register((name, body) => bodies.push([name, body]));
  const failures: Record<string, string> = {};
  for (const [name, body] of bodies) {
    try {
      await body();
    } catch (error) {
      failures[name] = (error as Error).message;
    }
  }
  return failures;
}
