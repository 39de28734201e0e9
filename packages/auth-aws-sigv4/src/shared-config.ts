import { readFile } from 'node:fs/promises';
import { statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

type Environment = Readonly<Record<string, string | undefined>>;

/** The two files that the AWS tools share. */
export interface SharedFiles {
  readonly config: string;
  readonly credentials: string;
}

/** Where they are: AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE, else `~/.aws`. */
export function sharedFiles(env: Environment): SharedFiles {
  const home = env['HOME'] || env['USERPROFILE'] || homedir();
  return {
    config: env['AWS_CONFIG_FILE'] || join(home, '.aws', 'config'),
    credentials: env['AWS_SHARED_CREDENTIALS_FILE'] || join(home, '.aws', 'credentials'),
  };
}

/** Changes when one of the files is edited, replaced or removed. */
export function fingerprint(files: readonly string[]): string {
  return files
    .map((file) => {
      const stat = statSync(file, { throwIfNoEntry: false });
      return stat ? `${stat.ino}:${stat.size}:${stat.mtimeMs}` : '-';
    })
    .join(' ');
}

/** The settings of a profile, both files taken together; `undefined` when neither has it. Names are in lower case. */
export async function readProfile(files: SharedFiles, name: string): Promise<Record<string, string> | undefined> {
  const [config, credentials] = await Promise.all(
    [files.config, files.credentials].map((file) => readFile(file, 'utf8').catch(() => '')),
  );
  const found = [
    section(config ?? '', name === 'default' ? ['default', 'profile default'] : [`profile ${name}`]),
    section(credentials ?? '', [name]),
  ].filter((one) => one !== undefined);
  return found.length > 0 ? (Object.assign({}, ...found) as Record<string, string>) : undefined;
}

function section(ini: string, names: readonly string[]): Record<string, string> | undefined {
  let current: Record<string, string> | undefined;
  let found: Record<string, string> | undefined;
  for (const line of ini.replace(/^\ufeff/, '').split(/\r?\n/)) {
    const header = /^\s*\[([^\]]*)\]/.exec(line);
    if (header) {
      const name = (header[1] ?? '').trim().replace(/\s+/g, ' ').replace(/["']/g, '');
      current = names.includes(name) ? (found ??= {}) : undefined;
    } else if (current && /^[^\s#;]/.test(line)) {
      const equals = line.indexOf('=');
      if (equals > 0)
        current[line.slice(0, equals).trim().toLowerCase()] = line
          .slice(equals + 1)
          .replace(/\s[#;].*$/, '')
          .trim();
    }
  }
  return found;
}
