/** Resume a download from the longest usable part that earlier runs left in the spool folder. */
import { open, readdir, rename, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { CodedError, ifExists } from '@khumbu/shared/runtime/errors';
import { hasEnded } from '@khumbu/shared/runtime/process-identity';
import { readPieces } from '../writing/image-writer.js';
import type { FetchOptions } from './fetch-options.js';
import { newRun, PartFile } from './part-file.js';
import {
  hostBootId,
  newPaths,
  type PartPaths,
  readSidecar,
  type Sidecar,
  unlessSuperseded,
  writeSidecar,
} from './sidecar.js';

const FILE_NAME = /^([A-Za-z0-9_-]{1,128})\.([0-9a-f-]{36})\.(part|json|json\.tmp)$/;

/** Throws `FETCH_KEY_INVALID`: a key becomes part of a file name. */
export function assertKey(key: string): void {
  if (!/^[A-Za-z0-9_-]{1,128}$/.test(key)) throw new CodedError('FETCH_KEY_INVALID', 'a fetch key is [A-Za-z0-9_-]');
}

type ResumeOptions = Pick<FetchOptions, 'signal' | 'withMd5' | 'makeRoom'>;

interface Generation extends PartPaths {
  readonly sidecarContent: Sidecar | undefined;
  /** Bytes that count; 0: of no use. */
  readonly usable: number;
}

/** How many bytes of a part can be resumed from. Without validators it is unknown which representation they are of. Pure. */
export function usableBytes(size: number, sidecar: Sidecar | undefined, bootId: string): number {
  if (!sidecar || (sidecar.validators.etag ?? sidecar.validators.lastModified) === undefined) return 0;
  const usable = sidecar.bootId === bootId ? size : Math.min(size, sidecar.syncedBytes);
  return sidecar.total !== undefined && usable > sidecar.total ? 0 : usable;
}

async function pathsOf(folder: string, key: string): Promise<PartPaths[]> {
  const bases = new Set<string>();
  for (const name of (await ifExists(readdir(folder))) ?? []) {
    const match = FILE_NAME.exec(name);
    if (match?.[1] === key) bases.add(join(folder, `${match[1]}.${match[2]}`));
  }
  return [...bases].map((base) => ({ part: `${base}.part`, sidecar: `${base}.json` }));
}

async function generationsOf(folder: string, key: string): Promise<Generation[]> {
  const bootId = hostBootId();
  return Promise.all(
    (await pathsOf(folder, key)).map(async (paths) => {
      const sidecarContent = await readSidecar(paths.sidecar);
      const size = (await ifExists(stat(paths.part)))?.size ?? 0;
      return { ...paths, sidecarContent, usable: usableBytes(size, sidecarContent, bootId) };
    }),
  );
}

const longestOf = (found: readonly Generation[]): Generation | undefined =>
  found.toSorted((a, b) => b.usable - a.usable)[0];

/** What a run of `key` would resume from now. */
export async function longestPart(
  folder: string,
  key: string,
): Promise<{ readonly path: string; readonly usable: number; readonly sidecar: Sidecar } | undefined> {
  const longest = longestOf(await generationsOf(folder, key));
  return longest?.sidecarContent && { path: longest.part, usable: longest.usable, sidecar: longest.sidecarContent };
}

async function remove(generations: readonly PartPaths[]): Promise<void> {
  for (const { part, sidecar } of generations)
    for (const path of [part, `${sidecar}.tmp`, sidecar]) await rm(path, { force: true });
}

const withNewBoot = ({ validators, total, labels, syncedBytes }: Sidecar, usable: number): Sidecar => ({
  validators,
  ...(labels === undefined ? {} : { labels }),
  ...(total === undefined ? {} : { total }),
  ...newRun(),
  syncedBytes: Math.min(syncedBytes, usable),
});

/** Nobody writes to it any more, and nobody will. */
const isLeft = ({ closed, writer }: Sidecar): boolean => closed || (writer !== undefined && hasEnded(writer));

/** Its writer has closed it, or has ended: the file itself is renamed. The new sidecar is written first, so a kill in between loses nothing. */
async function adopt(
  from: Generation,
  sidecar: Sidecar,
  to: PartPaths,
  { signal, withMd5 }: ResumeOptions,
): Promise<PartFile> {
  await writeSidecar(to.sidecar, sidecar);
  try {
    await rename(from.part, to.part);
  } catch (error) {
    await rm(to.sidecar, { force: true });
    throw error;
  }
  return PartFile.reopen(to, sidecar, from.usable, signal, withMd5);
}

/** Its writer may still run: a copy has one writer. The old file stays until the copy survives a power cut. */
async function copy(
  from: Generation,
  sidecar: Sidecar,
  to: PartPaths,
  { signal, withMd5 }: ResumeOptions,
): Promise<PartFile> {
  const source = await open(from.part, 'r');
  try {
    const part = await PartFile.create(to, sidecar.validators, sidecar.total, sidecar.labels, withMd5);
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

/** For a copy of so many bytes, beside what it is a copy of. */
export async function hasRoomFor(folder: string, bytes: number, makeRoom: ResumeOptions['makeRoom']): Promise<boolean> {
  const free = async (): Promise<number> => {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  };
  const missing = bytes + 1 - (await free());
  if (missing <= 0) return true;
  return ((await makeRoom?.(missing)) ?? 0) > 0 && (await free()) > bytes;
}

/**
 * Resume from the longest usable part of `key` and remove every other file of it. `undefined`: start from nothing. Safe to
 * abort and to repeat. Throws `superseded` when another run was faster. Of runs that start at once at least
 * one goes on: a run only removes what it had listed before it made its own file, so no two can remove each other.
 */
export async function resumeDownload(
  folder: string,
  key: string,
  options: ResumeOptions,
): Promise<PartFile | undefined> {
  const found = await generationsOf(folder, key);
  const best = longestOf(found);
  const sidecar = best?.sidecarContent;
  const canAdopt = sidecar !== undefined && isLeft(sidecar);
  // Without room for a copy the old file is worth less than its space.
  const isOfUse =
    best !== undefined && best.usable > 0 && (canAdopt || (await hasRoomFor(folder, best.usable, options.makeRoom)));
  if (!isOfUse || !sidecar) {
    await remove(found);
    return undefined;
  }
  const take = canAdopt ? adopt : copy;
  const part = await unlessSuperseded(take(best, withNewBoot(sidecar, best.usable), newPaths(folder, key), options));
  await unlessSuperseded(remove(found));
  return part;
}

/**
 * What is left of the downloads of `key` at this moment; call what it resolves with to remove just that. A run that begins in
 * between has files of its own, and one that wants to go on with a part that is gone begins anew, or fails with `superseded`.
 */
export async function listLeftParts(folder: string, key: string): Promise<() => Promise<void>> {
  assertKey(key);
  const found = await pathsOf(folder, key);
  return () => remove(found);
}

/** Remove parts of abandoned downloads. Safe while others run, if the age is longer than any pause. */
export async function sweepParts(folder: string, olderThanMs: number, nowMs: number): Promise<number> {
  let removed = 0;
  for (const name of (await ifExists(readdir(folder))) ?? []) {
    if (!FILE_NAME.test(name)) continue;
    const path = join(folder, name);
    const found = await ifExists(stat(path));
    if (!found || nowMs - found.mtimeMs < olderThanMs) continue;
    await rm(path, { force: true });
    removed++;
  }
  return removed;
}
