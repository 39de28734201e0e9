import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { libraries, reports, surfaces } from './report.mjs';

const current = surfaces(libraries());

test.each([...current])('the public surface of %s is the one that was released', (folder, text) => {
  // Meant to change it? `node test/surface/report.mjs`, and say in CHANGELOG.md what users have to do.
  expect(text).toBe(readFileSync(join(reports, `${folder}.txt`), 'utf8'));
});
