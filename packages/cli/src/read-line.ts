import { createInterface, type Interface } from 'node:readline';
import { CountersignError } from '@countersign/core';

type Input = NodeJS.ReadStream;
type ReadLine = (question: string, signal?: AbortSignal) => Promise<string>;

/**
 * Reads lines that answer questions: from a person with a prompt, from a pipe without. A question rejects with LOGIN_REQUIRED at the end of input,
 * and with the signal's reason. Between questions the input is let go, so that it doesn't keep the process alive.
 */
export function lineReader(input: Input, output: NodeJS.WritableStream): ReadLine {
  return input.isTTY ? fromTerminal(input, output) : fromPipe(input);
}

function fromTerminal(input: Input, output: NodeJS.WritableStream): ReadLine {
  return (question, signal) => {
    const lines = createInterface({ input, output, terminal: true, historySize: 0 });
    // In raw mode Ctrl-C is a key like any other.
    lines.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
    lines.setPrompt(`${question} `);
    lines.prompt();
    let answered = false;
    lines.once('line', () => (answered = true));
    return answer(signal, (resolve, reject) => {
      lines.once('line', resolve);
      lines.once('close', () => reject(ended()));
    }).finally(() => {
      lines.close();
      if (!answered) output.write('\n'); // what comes next begins on a line of its own
      release(input);
    });
  };
}

function fromPipe(input: Input): ReadLine {
  let lines: Interface | undefined;
  const read: string[] = []; // One chunk of a pipe may hold the answers to several questions.
  let over = false;
  return (_question, signal) => {
    input.ref?.();
    if (lines) input.resume();
    else {
      lines = createInterface({ input, terminal: false });
      lines.on('line', (line) => read.push(line));
      lines.once('close', () => (over = true));
    }
    const source = lines;
    let settle = (): void => undefined;
    return answer(signal, (resolve, reject) => {
      settle = () => {
        if (read.length === 0 && !over) return;
        source.off('line', settle).off('close', settle); // The next line answers the next question.
        const line = read.shift();
        if (line === undefined) reject(ended());
        else resolve(line);
      };
      source.on('line', settle).once('close', settle);
      settle();
    }).finally(() => {
      source.off('line', settle).off('close', settle);
      release(input);
    });
  };
}

function answer(
  signal: AbortSignal | undefined,
  listen: (resolve: (line: string) => void, reject: (error: Error) => void) => void,
): Promise<string> {
  let abort = (): void => undefined;
  const answered = new Promise<string>((resolve, reject) => {
    abort = () =>
      reject(
        signal?.reason instanceof Error
          ? signal.reason
          : new CountersignError('ABORTED', 'The question was withdrawn.'),
      );
    if (signal?.aborted) return abort();
    signal?.addEventListener('abort', abort, { once: true });
    listen(resolve, reject);
  });
  return answered.finally(() => signal?.removeEventListener('abort', abort));
}

function release(input: Input): void {
  input.pause();
  input.unref?.();
}

const ended = (): CountersignError =>
  new CountersignError('LOGIN_REQUIRED', 'The standard input ended before an answer came.');
