/**
 * A wall clock of its own for each process, set while it runs: libfaketime in front of the C library. Timers and the
 * monotonic clock stay what they are, as on a host whose date is set.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DepotOptions, ProcessName } from './depot.js';

const LIBRARY = 'faketime/libfaketime.so.1';

/** The file of the library; `undefined` where it is not installed (Debian: package faketime). */
export function findFaketime(): string | undefined {
  const roots = ['/usr/lib', '/usr/lib64', '/usr/local/lib'].filter((root) => existsSync(root));
  const folders = roots.flatMap((root) => [root, ...readdirSync(root).map((name) => join(root, name))]);
  return folders.map((folder) => join(folder, LIBRARY)).find((file) => existsSync(file));
}

export interface HostClocks {
  /** For `startDepot`. */
  readonly envOf: NonNullable<DepotOptions['envOf']>;
  /** Set the clocks of these hosts to the true time and so many milliseconds. */
  set(names: readonly ProcessName[], offsetMs: number): void;
}

export function hostClocks(dir: string, library: string, names: readonly ProcessName[]): HostClocks {
  mkdirSync(dir, { recursive: true });
  const fileOf = (name: ProcessName): string => join(dir, name);
  const set = (all: readonly ProcessName[], offsetMs: number): void => {
    for (const name of all) {
      const seconds = Math.round(offsetMs / 1000);
      writeFileSync(`${fileOf(name)}.new`, `${seconds < 0 ? '' : '+'}${seconds}\n`);
      renameSync(`${fileOf(name)}.new`, fileOf(name));
    }
  };
  set(names, 0);
  const envOf = (name: ProcessName): Readonly<Record<string, string>> => ({
    // Redis brings an allocator that asks for the time before the library is ready: the C library's goes before it.
    LD_PRELOAD: `${library} libc.so.6`,
    FAKETIME_TIMESTAMP_FILE: fileOf(name),
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    NO_FAKE_STAT: '1',
  });
  return { envOf: Object.fromEntries(names.map((name) => [name, envOf(name)])), set };
}
