import { chmodSync, createWriteStream } from 'node:fs';
import { visibleText } from '@countersign/core';

/** Where the bridge says what it does: nowhere by default but for warnings; with --debug on stderr, with --log-file in a file that only the user can read. */
export function bridgeLog(
  debug: boolean,
  file: string | undefined,
): (level: 'debug' | 'warn', message: string) => void {
  if (file !== undefined) keepForOwner(file);
  const stream = file === undefined ? undefined : createWriteStream(file, { flags: 'a', mode: 0o600 });
  stream?.on('error', () => undefined);
  return (level, message) => {
    if (level === 'debug' && !debug && !stream) return;
    const line = `${new Date().toISOString()} ${level} ${visibleText(message)}\n`;
    stream?.write(line);
    if (level === 'warn' || (debug && !stream)) process.stderr.write(line);
  };
}

/** A file that is there already, and that others could read. */
function keepForOwner(file: string): void {
  try {
    chmodSync(file, 0o600);
  } catch {
    // It is made with the mode, or the stream tells what is wrong.
  }
}
