/** Everything in a folder as it is: to show that something changed nothing. */
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

function contentOf(path: string): string {
  const stat = lstatSync(path);
  if (stat.isSymbolicLink()) return readlinkSync(path);
  return stat.isFile() ? createHash('sha256').update(readFileSync(path)).digest('hex') : '';
}

/** Path to mode, owner, times of change, and content. What is read leaves no trace here: atime is left out. */
export function treeOf(dir: string, isLeftOut: (path: string) => boolean = () => false): Record<string, string> {
  const paths = ['', ...(readdirSync(dir, { recursive: true }) as string[])].filter((path) => !isLeftOut(path)).sort();
  return Object.fromEntries(
    paths.map((path) => {
      const full = join(dir, path);
      const { mode, uid, gid, mtimeMs, ctimeMs, ino } = lstatSync(full);
      return [path, [mode, uid, gid, mtimeMs, ctimeMs, ino, contentOf(full)].join(' ')];
    }),
  );
}
