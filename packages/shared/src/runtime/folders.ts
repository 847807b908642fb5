/** Folders that are made, and made durable. */
import { lstat, mkdir, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { hasCode, ifExists } from './errors.js';

/**
 * Others make and remove folders of the same tree meanwhile, so that what was missing is there a moment later, or the
 * other way round. Each such surprise means that another process has got on; a file system that refuses a new folder with
 * `ENOENT`, as `/proc` does, looks the same and has to end somewhere.
 */
const SURPRISES = 100;

/** `else`: something that is no folder, or what cannot be looked at. A link to nowhere is something. */
async function look(path: string): Promise<'folder' | 'else' | 'nothing'> {
  try {
    const found = await ifExists(lstat(path));
    if (!found) return 'nothing';
    return (found.isSymbolicLink() ? await stat(path) : found).isDirectory() ? 'folder' : 'else';
  } catch {
    // The caller reports an error of its own.
    return 'else';
  }
}

async function make(path: string, surprises: { left: number }): Promise<string | undefined> {
  let first: string | undefined;
  for (;;) {
    try {
      await mkdir(path);
      return first ?? path;
    } catch (error) {
      const there = await look(path);
      if (there === 'folder') return first;
      // A folder that was in the way may have gone since; then there is room for this one.
      const mayPass = hasCode(error, 'ENOENT') || (hasCode(error, 'EEXIST') && there === 'nothing');
      if (!mayPass || surprises.left === 0) throw error;
      surprises.left -= 1;
      const parent = dirname(path);
      if (parent === path || (await look(parent)) === 'folder') continue;
      const made = await make(parent, surprises);
      first ??= made;
    }
  }
}

/**
 * Make a folder and what is missing above it, like `mkdir -p`. Resolves with the first one made, `undefined` if it was
 * there. Rejects with what the file system refused it for (`EROFS`, `EACCES`, `ENOSPC`, `EEXIST` and `ENOTDIR` for a
 * file in the way): Node's own `recursive` tells `ENOENT` for a read-only file system, and never ends in one such as
 * `/proc`. Safe to repeat, also by any number of processes at once, and while others remove what is empty.
 */
export const makeFolder = (path: string): Promise<string | undefined> => make(path, { left: SURPRISES });

/** What was made, renamed or removed in it outlasts a power cut. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
