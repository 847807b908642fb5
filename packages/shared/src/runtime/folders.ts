/** Folders that are made, and made durable. */
import { mkdir, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { hasCode } from './errors.js';

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    // The caller has an error of its own to tell.
    return false;
  }
}

/**
 * Make a folder and what is missing above it, like `mkdir -p`. Resolves with the first one made, `undefined` if it was
 * there. Rejects with what the file system refused it for (`EROFS`, `EACCES`, `ENOSPC`, `EEXIST` and `ENOTDIR` for a
 * file in the way): Node's own `recursive` tells `ENOENT` for a read-only file system, and never ends in one such as
 * `/proc`. Safe to repeat, also by several at once.
 */
export async function makeFolder(path: string): Promise<string | undefined> {
  try {
    await mkdir(path);
    return path;
  } catch (error) {
    if (await isFolder(path)) return undefined;
    const parent = dirname(path);
    if (!hasCode(error, 'ENOENT') || (await isFolder(parent))) throw error;
    const first = await makeFolder(parent);
    const made = await makeFolder(path);
    return first ?? made;
  }
}

/** What was made, renamed or removed in it outlasts a power cut. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
