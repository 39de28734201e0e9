// npm run test:browser: headless Chromium signs in and consents at oidc-provider's pages, and lands on our callback page, which it photographs.
// Installs playwright-core here on first use; Chromium is the system's ($CHROMIUM, or Debian's, installed with apt where we may).
import { createCountersign } from '@countersign/core';
import oauth from '@countersign/auth-oauth';
import { closeEverything, startOidc } from '@countersign/test-servers';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const picture = fileURLToPath(new URL('../../docs/images/oauth-callback.png', import.meta.url));
if (!existsSync(`${here}node_modules/playwright-core`))
  execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: here, stdio: 'inherit' });
const { chromium } = await import('playwright-core');

const executablePath = findChromium();
const browser = await chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] });
const oidc = await startOidc();
const context = await browser.newContext({ viewport: { width: 800, height: 520 }, deviceScaleFactor: 2 });
const page = await context.newPage();
const problems = [];
page.on('console', (message) => {
  const { url = '' } = message.location();
  if (message.type() === 'error' && /^http:\/\/localhost:\d+\/callback/.test(url)) problems.push(message.text());
});
page.on('pageerror', (error) => problems.push(error.message));

let seen;
const app = await createCountersign({
  plugins: [oauth],
  servers: { orders: { url: oidc.resource, auth: { method: 'oauth' } } },
  env: {},
  interaction: {
    async show(url) {
      seen = signIn(url);
      seen.catch(() => undefined);
      return 'opened';
    },
    ask: (_question, signal) =>
      new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason))),
    tell() {},
  },
});

try {
  await app.login('orders');
  await seen;
  const { state, principal } = await app.status('orders', { detail: true });
  assert.deepEqual({ state, principal }, { state: 'ready', principal: 'alice' });
  assert.equal(await page.title(), 'You are signed in · Countersign');
  assert.equal(await page.locator('h1').innerText(), 'You are signed in');
  assert.equal(await page.evaluate(() => document.scripts.length), 0);
  const card = await page.evaluate(() => getComputedStyle(document.querySelector('main')).borderRadius);
  assert.equal(card, '14px', 'the style is applied, so its hash in the policy is right');
  assert.deepEqual(problems, []);
  console.log(`Chromium ${browser.version()} signed in, consented and landed on the callback page.`);
} finally {
  await app.close();
  await browser.close();
  await oidc.close();
  await closeEverything();
}

/** What a person does: a name and a password, then consent. */
async function signIn(url) {
  await page.goto(url.href);
  await page.fill('input[name=login]', 'alice');
  await page.fill('input[name=password]', 'any');
  await page.click('button[type=submit]');
  await page.waitForURL(/\/interaction\//);
  await page.click('button[type=submit]');
  await page.waitForURL(/^http:\/\/localhost:\d+\/callback/);
  await page.screenshot({ path: picture });
}

function findChromium() {
  const known = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
  const found = known.find((path) => path && existsSync(path));
  if (found) return found;
  if (process.platform !== 'linux' || process.getuid?.() !== 0)
    throw new Error('No Chromium was found: name one in $CHROMIUM, or install it (apt-get install chromium).');
  execFileSync('apt-get', ['install', '-y', '--no-install-recommends', 'chromium'], { stdio: 'inherit' });
  return '/usr/bin/chromium';
}
