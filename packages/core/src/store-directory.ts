import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Where the file store lies unless told otherwise: `$COUNTERSIGN_STORE`, else the platform's data folder
 * (`$XDG_DATA_HOME/countersign`, `~/.local/share/countersign`, `~/Library/Application Support/countersign`, `%LOCALAPPDATA%\countersign\Data`).
 */
export function storeDirectory(env: Environment = process.env, platform: NodeJS.Platform = process.platform): string {
  if (env['COUNTERSIGN_STORE']) return resolve(env['COUNTERSIGN_STORE']);
  const home = env['HOME'] ?? homedir();
  if (platform === 'darwin') return join(home, 'Library', 'Application Support', 'countersign');
  if (platform === 'win32')
    return join(env['LOCALAPPDATA'] ?? join(homedir(), 'AppData', 'Local'), 'countersign', 'Data');
  const data = env['XDG_DATA_HOME'];
  // A relative XDG_DATA_HOME is to be ignored (XDG Base Directory Specification).
  return join(data && isAbsolute(data) ? data : join(home, '.local', 'share'), 'countersign');
}
