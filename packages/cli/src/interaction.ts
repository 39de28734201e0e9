import { CountersignError, visibleText, type Interaction, type LoginEvent } from '@countersign/core';

export interface TerminalInteractionOptions {
  /** Writes one line. */
  readonly print: (line: string) => void;
  /** Tries the browser, and answers whether it opened; undefined with --no-browser. */
  readonly open: ((url: URL) => Promise<boolean>) | undefined;
  readonly device: boolean;
  /** Reads a line that answers `question`; rejects at the end of input or on abort. */
  readonly readLine: (question: string, signal?: AbortSignal) => Promise<string>;
  /** The symbol with a space after it, or nothing where it can't be shown. */
  readonly symbol: (symbol: string) => string;
}

const LONGEST_URL = 16_384;

/** A person at a terminal, or at the other end of a pipe: prints what a sign-in says, and takes a pasted callback URL. */
export function terminalInteraction({
  print,
  open,
  device,
  readLine,
  symbol,
}: TerminalInteractionOptions): Interaction {
  let port: string | undefined;

  const byHand = (): void => {
    if (port)
      print(
        `If the browser runs on another machine than this: ssh -L ${port}:localhost:${port} THIS-MACHINE, or paste the URL that it ends at here.`,
      );
  };

  return {
    ...(device ? { prefer: 'device' as const } : {}),
    async show(url) {
      const href = safe(url).href;
      print(
        open ? `${symbol('🔐')}Opening browser for OAuth authentication...` : 'Open this URL in a browser to sign in:',
      );
      print(href);
      if (open && (await open(url))) return 'opened';
      if (open) print('The browser did not open. Open the URL above by hand.');
      byHand();
      return 'shown';
    },
    ask: (question, signal) => readLine(visibleText(question), signal),
    tell(event) {
      if (event.type === 'listening') port = new URL(event.url).port;
      for (const line of told(event, symbol)) print(line);
    },
  };
}

function told(event: LoginEvent, symbol: (symbol: string) => string): string[] {
  switch (event.type) {
    case 'listening':
      return [`${symbol('🖥️ ')}Started callback server on ${new URL(event.url).origin}`];
    case 'opening': // `show` says it, with the URL.
      return [];
    case 'device':
      return [
        'Open this URL on any device and enter the code:',
        verificationUri(event.verificationUri),
        visibleText(event.userCode),
        ...(event.verificationUriComplete
          ? ['or this one, which has the code in it:', safe(event.verificationUriComplete).href]
          : []),
      ];
    case 'note':
      return [visibleText(event.message)];
    case 'succeeded':
      return [`${symbol('✅')}OAuth authentication successful`];
  }
}

// As the server gave it, once it is known to be a URL that may be opened.
function verificationUri(text: string): string {
  safe(text);
  return visibleText(text);
}

// R1: what a server named is refused before it is printed or opened. An URL object holds no control character, and begins with its scheme.
function safe(named: URL | string): URL {
  const url = URL.canParse(String(named)) ? new URL(String(named)) : undefined;
  const allowed =
    url &&
    url.href.length <= LONGEST_URL &&
    (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname)));
  if (!allowed)
    throw new CountersignError(
      'UNSAFE_URL',
      'The server named a URL for the sign-in that is not https (or http to this machine), or is too long.',
    );
  return url;
}

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host);
