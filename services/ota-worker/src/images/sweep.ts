/** What nobody needs any more leaves the spool: images that no record names, and parts of downloads long given up. */
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from '@khumbu/shared/runtime/errors';
import { sweepParts } from '../fetching/take-over.js';

/** Younger files may belong to a fetch that has not stored its record yet. */
const YOUNG_MS = 3600_000;
const PARTS_KEPT_MS = 7 * 24 * 3600_000;

/** `named`: the SHA-256 of every image a record still names. Resolves with the number of files removed. */
export async function sweepImages(
  spoolDir: string,
  named: () => Promise<ReadonlySet<string>>,
  now: number,
): Promise<number> {
  const folder = join(spoolDir, 'images');
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return 0;
    throw error;
  }
  const keep = await named();
  let removed = 0;
  for (const name of names) {
    const path = join(folder, name);
    if (keep.has(name) || now - (await stat(path)).mtimeMs < YOUNG_MS) continue;
    await rm(path, { force: true });
    removed += 1;
  }
  return removed + (await sweepParts(join(spoolDir, 'fetching'), PARTS_KEPT_MS, now));
}
