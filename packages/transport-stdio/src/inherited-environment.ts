import process from 'node:process';

// What the MCP SDK passes on as well: enough to find programs and the person's folders, and no secret.
const POSIX = ['HOME', 'LOGNAME', 'PATH', 'SHELL', 'TERM', 'USER'];
const WINDOWS = [
  'APPDATA',
  'HOMEDRIVE',
  'HOMEPATH',
  'LOCALAPPDATA',
  'PATH',
  'PATHEXT',
  'PROCESSOR_ARCHITECTURE',
  'PROGRAMFILES',
  'SYSTEMDRIVE',
  'SYSTEMROOT',
  'TEMP',
  'USERNAME',
  'USERPROFILE',
];

/** The variables that a child gets without being named in `env`. */
export function inheritedEnvironment(
  env: NodeJS.ProcessEnv = process.env,
  platform: NodeJS.Platform = process.platform,
): Record<string, string> {
  const inherited: Record<string, string> = {};
  for (const name of platform === 'win32' ? WINDOWS : POSIX) {
    const value = env[name];
    if (value !== undefined && !value.startsWith('()')) inherited[name] = value; // "()": an exported shell function
  }
  return inherited;
}
