/** Removes from the spool images that no record names, and parts of abandoned downloads. */
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ifExists } from '@khumbu/shared/runtime/errors';
import { sweepParts } from '../fetching/resume-download.js';

/** Younger files may belong to a fetch that has not stored its record yet. */
const YOUNG_MS = 3600_000;
/** Images younger than this never make room: a commit that names them may be under way. */
const SETTLED_MS = 10 * 60_000;
/** Younger than this an image has enough of that time before it. */
export const NEW_MS = SETTLED_MS / 2;
/** What is held of a download that nobody goes on with. */
export const PARTS_KEPT_MS = 7 * 24 * 3600_000;

/** `named`: the SHA-256 of every image a record still names. Resolves with the number of files removed. */
export async function sweepImages(
  spoolDir: string,
  named: () => Promise<ReadonlySet<string>>,
  now: number,
): Promise<number> {
  const folder = join(spoolDir, 'images');
  const names = await ifExists(readdir(folder));
  if (!names) return 0;
  const keep = await named();
  let removed = 0;
  for (const name of names) {
    const path = join(folder, name);
    if (keep.has(name)) continue;
    const found = await ifExists(stat(path));
    if (!found || now - found.mtimeMs < YOUNG_MS) continue;
    await rm(path, { force: true });
    removed += 1;
  }
  return removed + (await sweepParts(join(spoolDir, 'fetching'), PARTS_KEPT_MS, now));
}

interface Image {
  readonly name: string;
  readonly bytes: number;
  readonly at: number;
}

async function imagesIn(folder: string): Promise<Image[]> {
  const images: Image[] = [];
  for (const name of (await ifExists(readdir(folder))) ?? []) {
    const found = await ifExists(stat(join(folder, name)));
    if (found) images.push({ name, bytes: found.size, at: found.mtimeMs });
  }
  return images.sort((a, b) => a.at - b.at);
}

/** Which images go, oldest first, so that `bytes` come free; none if that cannot be reached. Pure. */
export function whatMakesRoom(
  images: readonly Image[],
  needed: ReadonlySet<string>,
  bytes: number,
  now: number,
): readonly Image[] {
  const going: Image[] = [];
  let freed = 0;
  for (const image of images) {
    if (freed >= bytes) break;
    if (needed.has(image.name) || now - image.at < SETTLED_MS) continue;
    going.push(image);
    freed += image.bytes;
  }
  return freed >= bytes || bytes === Number.POSITIVE_INFINITY ? going : [];
}

/**
 * The spool is a cache: remove images that no update under way needs, so that at least `bytes` come free (`Infinity`:
 * as many as there are). Resolves with the bytes freed; 0: there is nothing that would do.
 */
export async function makeRoom(
  spoolDir: string,
  bytes: number,
  needed: () => Promise<ReadonlySet<string>>,
  now: number,
): Promise<number> {
  const folder = join(spoolDir, 'images');
  let freed = 0;
  for (const { name, bytes: size } of whatMakesRoom(await imagesIn(folder), await needed(), bytes, now)) {
    const path = join(folder, name);
    const found = await ifExists(stat(path));
    // It may be in use since it was listed. One that another worker removed is room as well.
    if (found && now - found.mtimeMs < SETTLED_MS) continue;
    await rm(path, { force: true });
    freed += size;
  }
  return freed;
}

/** Makes room for one caller after the other. What was freed while one waited counts for it, too. */
export function oneAtATime(make: (bytes: number) => Promise<number>): (bytes: number) => Promise<number> {
  let turn: Promise<unknown> = Promise.resolve();
  let freedInAll = 0;
  return (bytes) => {
    const before = freedInAll;
    const mine = turn.then(async () => {
      if (freedInAll === before) {
        const freed = await make(bytes);
        freedInAll += freed;
      }
      return freedInAll - before;
    });
    turn = mine.catch(() => undefined);
    return mine;
  };
}
