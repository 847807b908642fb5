/** Find what earlier runs of a download left in the spool folder, and go on with the best of it. */
import { open, readdir, readFile, rename, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { CodedError } from '@khumbu/shared/runtime/errors';
import { ifThere } from '@khumbu/shared/runtime/if-there';
import { readPieces } from '../writing/image-writer.js';
import {
  goneMeansSuperseded,
  hostBootId,
  newPaths,
  PartFile,
  type PartPaths,
  type Sidecar,
  writeSidecar,
} from './part-file.js';

const FILE_NAME = /^([A-Za-z0-9_-]{1,128})\.([0-9a-f-]{36})\.(part|json|json\.tmp)$/;

/** Throws `FETCH_KEY_INVALID`: a key becomes part of a file name. */
export function assertKey(key: string): void {
  if (!/^[A-Za-z0-9_-]{1,128}$/.test(key)) throw new CodedError('FETCH_KEY_INVALID', 'a fetch key is [A-Za-z0-9_-]');
}

interface Generation extends PartPaths {
  readonly sidecarContent: Sidecar | undefined;
  /** Bytes that count; 0: of no use. */
  readonly usable: number;
}

function parseSidecar(text: string): Sidecar | undefined {
  try {
    const value = JSON.parse(text) as Partial<Sidecar> | null;
    const isWhole = typeof value?.bootId === 'string' && Number.isSafeInteger(value.syncedBytes) && value.validators;
    return isWhole ? (value as Sidecar) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined; // cut off by a power cut
    throw error;
  }
}

/** How many bytes of a file may be built upon. Without validators nobody can say what they are a part of. Pure. */
export function usableBytes(size: number, sidecar: Sidecar | undefined, bootId: string): number {
  if (!sidecar || (sidecar.validators.etag ?? sidecar.validators.lastModified) === undefined) return 0;
  const usable = sidecar.bootId === bootId ? size : Math.min(size, sidecar.syncedBytes);
  return sidecar.total !== undefined && usable > sidecar.total ? 0 : usable;
}

async function generationsOf(folder: string, key: string): Promise<Generation[]> {
  const bases = new Set<string>();
  for (const name of await readdir(folder)) {
    const match = FILE_NAME.exec(name);
    if (match?.[1] === key) bases.add(join(folder, `${match[1]}.${match[2]}`));
  }
  const bootId = hostBootId();
  return Promise.all(
    [...bases].map(async (base) => {
      const paths = { part: `${base}.part`, sidecar: `${base}.json` };
      const text = await ifThere(readFile(paths.sidecar, 'utf8'));
      const sidecarContent = text === undefined ? undefined : parseSidecar(text);
      const size = (await ifThere(stat(paths.part)))?.size ?? 0;
      return { ...paths, sidecarContent, usable: usableBytes(size, sidecarContent, bootId) };
    }),
  );
}

async function remove(generations: readonly PartPaths[]): Promise<void> {
  for (const { part, sidecar } of generations)
    for (const path of [part, `${sidecar}.tmp`, sidecar]) await rm(path, { force: true });
}

const withNewBoot = ({ validators, total, labels, syncedBytes }: Sidecar, usable: number): Sidecar => ({
  validators,
  ...(labels === undefined ? {} : { labels }),
  ...(total === undefined ? {} : { total }),
  bootId: hostBootId(),
  syncedBytes: Math.min(syncedBytes, usable),
  closed: false,
  startedAt: Date.now(),
});

/** Its writer has closed it: the file itself becomes ours. The sidecar is there first, so a kill between loses nothing. */
async function adopt(from: Generation, sidecar: Sidecar, to: PartPaths, signal: AbortSignal): Promise<PartFile> {
  await writeSidecar(to.sidecar, sidecar);
  try {
    await rename(from.part, to.part);
  } catch (error) {
    await rm(to.sidecar, { force: true });
    throw error;
  }
  return PartFile.reopen(to, sidecar, from.usable, signal);
}

/** Its writer may still be there: only a copy is ours alone. The old file stays until the copy survives a power cut. */
async function copy(from: Generation, sidecar: Sidecar, to: PartPaths, signal: AbortSignal): Promise<PartFile> {
  const source = await open(from.part, 'r');
  try {
    const part = await PartFile.create(to, sidecar.validators, sidecar.total, sidecar.labels);
    try {
      for await (const chunk of readPieces(source, from.usable, signal)) part.append(chunk);
      await part.sync();
      return part;
    } catch (error) {
      await part.discard();
      throw error;
    }
  } finally {
    await source.close();
  }
}

/**
 * Take over the longest usable rest of `key` and remove every other file of it. `undefined`: start clean. Aborting it
 * or repeating it loses nothing. Throws `superseded` when another run was faster. Of runs that start at once at least
 * one goes on: a run only removes what it had listed before it made its own file, so no two can remove each other.
 */
export async function takeOver(folder: string, key: string, signal: AbortSignal): Promise<PartFile | undefined> {
  const found = await generationsOf(folder, key);
  const best = found.toSorted((a, b) => b.usable - a.usable)[0];
  const sidecar = best?.sidecarContent;
  const disk = await statfs(folder);
  // Without room for a copy the old file is worth less than its space.
  const canCopy = best !== undefined && disk.bavail * disk.bsize > best.usable;
  if (!best || !sidecar || best.usable === 0 || !(sidecar.closed || canCopy)) {
    await remove(found);
    return undefined;
  }
  try {
    const take = sidecar.closed ? adopt : copy;
    const part = await take(best, withNewBoot(sidecar, best.usable), newPaths(folder, key), signal);
    await remove(found);
    return part;
  } catch (error) {
    throw goneMeansSuperseded(error);
  }
}

/** Remove what was left of downloads nobody went on with. Safe while others run, if the age is longer than any pause. */
export async function sweepParts(folder: string, olderThanMs: number, nowMs: number): Promise<number> {
  let removed = 0;
  for (const name of (await ifThere(readdir(folder))) ?? []) {
    if (!FILE_NAME.test(name)) continue;
    const path = join(folder, name);
    const found = await ifThere(stat(path));
    if (!found || nowMs - found.mtimeMs < olderThanMs) continue;
    await rm(path, { force: true });
    removed++;
  }
  return removed;
}
