import { clearScreenDown, createInterface, cursorTo, moveCursor } from 'node:readline';
import { CountersignError } from '@countersign/core';

const PROMPT = 'countersign> ';

export interface Terminal {
  readonly input: NodeJS.ReadableStream;
  readonly output: NodeJS.WritableStream;
}

export interface PromptOptions extends Terminal {
  /** The newest first. */
  readonly history: readonly string[];
  readonly complete: (line: string) => Promise<string[]>;
}

export interface Prompt {
  /** The next line; undefined at the end of input or on abort. Lines typed while work was under way come in their order. */
  line(signal: AbortSignal): Promise<string | undefined>;
  /** Asks a question; the answer doesn't enter the history. Rejects on abort and at the end of input. */
  ask(question: string, signal?: AbortSignal): Promise<string>;
  /** Writes beside what is being typed: takes the prompt away, writes, and puts it back. */
  aside(write: () => void): void;
  /** What Ctrl-C does while work is under way. */
  interrupted: (() => void) | undefined;
  close(): void;
}

/** The shell's line on a terminal. */
export function openPrompt({ input, output, history, complete }: PromptOptions): Prompt {
  const typed: string[] = [];
  let closed = false;
  let shown = false; // The prompt, or a question, stands on the screen.
  let asking = false;

  const lines = createInterface({
    input,
    output,
    terminal: true,
    prompt: PROMPT,
    history: [...history],
    historySize: 1000,
    removeHistoryDuplicates: true,
    completer: (line: string, answer: (error: null, result: [string[], string]) => void) => {
      const last = /\S*$/.exec(line)?.[0] ?? '';
      void complete(line).then((candidates) => answer(null, [candidates, last]));
    },
  });
  lines.on('line', (line) => typed.push(line));
  lines.on('close', () => (closed = true));
  lines.on('history', (kept: string[]) => {
    if (asking) kept.shift(); // A pasted callback URL holds a code.
  });
  lines.on('SIGINT', () => {
    if (prompt.interrupted) return prompt.interrupted();
    if (lines.line !== '') lines.write(null, { ctrl: true, name: 'u' });
    else prompt.aside(() => output.write('/quit or Ctrl-D ends the shell.\n'));
  });

  const prompt: Prompt = {
    interrupted: undefined,
    line: (signal) =>
      new Promise((resolve) => {
        const finish = (line: string | undefined): void => {
          shown = false;
          lines.off('line', settle).off('close', settle);
          signal.removeEventListener('abort', settle);
          resolve(line);
        };
        const settle = (): void => {
          const line = signal.aborted ? undefined : typed.shift();
          if (line !== undefined || closed || signal.aborted) finish(line);
        };
        lines.on('line', settle).on('close', settle);
        signal.addEventListener('abort', settle, { once: true });
        settle();
        if (lines.listeners('line').includes(settle)) {
          shown = true;
          lines.prompt();
        }
      }),
    ask: (question, signal) =>
      new Promise<string>((resolve, reject) => {
        const withdraw = (): void => reject(new CountersignError('ABORTED', 'The question was withdrawn.'));
        if (closed || signal?.aborted) return withdraw();
        asking = shown = true;
        signal?.addEventListener('abort', withdraw, { once: true });
        lines.once('close', withdraw);
        lines.question(`${question} `, signal ? { signal } : {}, resolve);
      }).finally(() => {
        asking = shown = false;
      }),
    aside(write) {
      if (!shown || closed) return write();
      moveCursor(output, 0, -lines.getCursorPos().rows);
      cursorTo(output, 0);
      clearScreenDown(output);
      write();
      lines.prompt(true);
    },
    close: () => lines.close(),
  };
  return prompt;
}
