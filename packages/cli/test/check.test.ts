import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { createPlace, type Place } from './support/countersign.js';

jest.setTimeout(60_000);

let place: Place;
beforeAll(async () => (place = await createPlace()));
afterAll(() => place.remove());

const env = {
  OPENAI_API_KEY: 'x',
  CUSTOM_API_KEY: 'x',
  API_TOKEN: 'x',
  GITHUB_TOKEN: 'ghp_x',
  GCP_ACCESS_TOKEN: 'x',
  AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
  AWS_SECRET_ACCESS_KEY: 'x',
  AWS_SESSION_TOKEN: 'x',
};
const check = (name: string, ...more: string[]) =>
  place.run(
    ['--config', fileURLToPath(new URL(`fixtures/configs/${name}.json`, import.meta.url)), 'check', '--json', ...more],
    { env },
  );

interface Report {
  readonly warnings: readonly { code: string }[];
}

describe('check', () => {
  test.each([
    ['bearer', 'LITERAL_SECRET'],
    ['gcp', 'TRANSPORT_HEADER'],
  ])('warns of %s.json with %s, which --strict makes an exit 2', async (name, code) => {
    expect(((await check(name)).json as Report).warnings.map((warning) => warning.code)).toContain(code);
    expect((await check(name, '--strict')).code).toBe(2);
  });

  test('takes a configuration that is not JSON for a finding', async () => {
    const file = await place.configure('', 'broken.json');
    const ended = await place.run(['--config', file, 'check', '--json']);
    expect(ended.code).toBe(2);
    expect(ended.json).toMatchObject({
      ok: false,
      errors: [
        { code: 'CONFIG_INVALID', message: expect.any(String) as unknown, remedy: expect.any(String) as unknown },
      ],
    });
  });

  test('ends with an error for a configuration that does not exist', async () => {
    const ended = await place.run(['--config', 'nowhere.json', 'check', '--json']);
    expect(ended.code).toBe(2);
    expect(ended.json).toMatchObject({ error: { code: 'CONFIG_NOT_FOUND' } });
  });

  test('is a list for a person', async () => {
    const ended = await place.run([
      '--config',
      fileURLToPath(new URL('fixtures/configs/insecure.json', import.meta.url)),
      'check',
    ]);
    expect(ended.stdout).toMatch(/^error .*\n {2}.*\nwarning .*\n {2}.*\n1 error, 1 warning\n$/);
  });
});
