import { exec } from 'node:child_process';
import { CountersignError, type AuthServices } from '@countersign/core';
import { readDocument } from './credential-document.js';
import type { AwsCredentials } from './sign.js';

/** Milliseconds: some such programs wait for a person in a browser. */
const DEADLINE = 50_000;

/**
 * Runs a profile's `credential_process`, a command line for the shell, as AWS's tools do. Ours and not the SDK's, which sets no deadline and leaves
 * the program behind. Neither the command nor its output comes into an error.
 */
export async function processCredentials(
  command: string,
  source: string,
  { env }: Pick<AuthServices, 'env'>,
): Promise<AwsCredentials> {
  const output = await new Promise<string>((resolve, reject) => {
    exec(
      command,
      { env: { ...env }, timeout: DEADLINE, killSignal: 'SIGKILL', maxBuffer: 262_144, windowsHide: true },
      (error, stdout) => {
        if (!error) resolve(stdout);
        else if (error.killed)
          reject(
            new CountersignError(
              'TIMEOUT',
              `The credential_process of ${source} did not end within ${DEADLINE / 1000} seconds.`,
            ),
          );
        else reject(failed(source, `ended with ${error.code ?? error.signal ?? 'an error'}`));
      },
    ).stdin?.end();
  });
  const found = readDocument(output);
  if (!found) throw failed(source, 'did not answer credentials');
  return found;
}

function failed(source: string, how: string): CountersignError {
  return new CountersignError('CREDENTIAL_UNAVAILABLE', `The credential_process of ${source} ${how}.`, {
    remedy: 'Run the command of the profile by hand to see why.',
  });
}
