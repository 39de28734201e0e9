import { createHash } from 'node:crypto';

/** What the page of the browser says at the end of a sign-in. Nothing of the request is in it. */
export type CallbackOutcome = 'signed-in' | 'denied' | 'failed' | 'refused';

const TEXTS: Readonly<Record<CallbackOutcome, readonly [mark: string, title: string, next: string]>> = {
  'signed-in': ['✓', 'You are signed in', 'Close this tab and go back to your terminal.'],
  denied: [
    '–',
    'The sign-in was declined',
    'Nothing was stored. To try again, run the login command in your terminal.',
  ],
  failed: ['!', 'The sign-in did not complete', 'Your terminal says why, and what to do next.'],
  refused: [
    '!',
    'This is not the sign-in that is under way',
    'Go back to your terminal, and use the link that it shows.',
  ],
};

const STYLE = `
:root{color-scheme:light dark;--ink:#17211b;--soft:#5a655e;--paper:#f4f6f4;--card:#fff;--line:#dfe4e0;--mark:#1c7c54}
@media(prefers-color-scheme:dark){:root{--ink:#e9efeb;--soft:#a3aea7;--paper:#121714;--card:#1b221e;--line:#2c352f;--mark:#57c796}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:26rem;margin:1rem;padding:2.5rem 2.25rem;background:var(--card);border:1px solid var(--line);border-radius:14px}
.mark{display:grid;place-items:center;width:2.75rem;height:2.75rem;border:2px solid var(--mark);border-radius:50%;color:var(--mark);font-size:1.35rem;line-height:1}
.other{--mark:#b4541a}
h1{margin:1.25rem 0 .5rem;font-size:1.35rem;line-height:1.25}
p{margin:0;color:var(--soft)}
footer{margin-top:2rem;font-size:.8rem;color:var(--soft)}
`;

/** The static page for an outcome. */
export function callbackPage(outcome: CallbackOutcome): string {
  const [mark, title, next] = TEXTS[outcome];
  const kind = outcome === 'signed-in' ? '' : ' class="other"';
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} · Countersign</title>
<style>${STYLE}</style>
</head>
<body>
<main${kind}>
<div class="mark" aria-hidden="true">${mark}</div>
<h1>${title}</h1>
<p>${next}</p>
<footer>Countersign</footer>
</main>
</body>
</html>
`;
}

/** Headers of the page: no script, no frame, no copy in a cache, no Referer that would carry the code on. */
export const PAGE_HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'cross-origin-opener-policy': 'same-origin',
  connection: 'close',
} as const;
