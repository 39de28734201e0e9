declare module 'cross-spawn' {
  import type { ChildProcess, SpawnOptions } from 'node:child_process';
  /** As child_process.spawn; on Windows it finds .cmd files and shebangs, and quotes for cmd.exe. */
  export default function spawn(command: string, args: readonly string[], options: SpawnOptions): ChildProcess;
}
