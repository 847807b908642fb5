/** Takes what another worker has kept of a download over into a part file of the own spool, for `resumeDownload` to go on with. */

import { type FileHandle, open, rm } from 'node:fs/promises';
import { deadlineAfter } from '@khumbu/shared/runtime/abort';
import { makeFolder, syncFolder } from '@khumbu/shared/runtime/folders';
import type { Validators } from '@khumbu/transfer/port';
import type { FetchOptions } from '../fetching/fetch-options.js';
import { newRun } from '../fetching/part-file.js';
import { hasRoomFor, listLeftParts, longestPart } from '../fetching/resume-download.js';
import { newPaths, type PartPaths, type Sidecar, writeSidecar } from '../fetching/sidecar.js';
import { readAt } from './follow-part.js';
import { bestOf, type Held, isWorthTaking, type LocalPart, type Piece } from './piece-names.js';
import { longestMs } from './piece-pace.js';
import { type PieceStore, sha256Of } from './piece-store.js';

export interface TakeOptions extends Pick<FetchOptions, 'key' | 'signal' | 'makeRoom' | 'known' | 'onProgress'> {
  /** Of the parts. */
  readonly folder: string;
}

type Reader = Pick<PieceStore, 'read' | 'inTurn'>;

/** Why it is less than what was kept: a piece is damaged or gone, or the store does not answer. What was before it counts. */
interface Failure {
  readonly piece: Piece;
  readonly error: unknown;
}

export interface Taken {
  readonly bytes: number;
  readonly failure?: Failure;
}

async function localPart({ folder, key }: TakeOptions): Promise<(LocalPart & { readonly path: string }) | undefined> {
  const found = await longestPart(folder, key);
  if (!found) return undefined;
  const { validators, total, startedAt } = found.sidecar;
  return {
    path: found.path,
    bytes: found.usable,
    validators,
    ...(total === undefined ? {} : { total }),
    ...(startedAt === undefined ? {} : { startedAt }),
  };
}

/** By the first and the last piece that both have: other content is other in one of them, but for the rarest. */
async function holdsOther(path: string, bytes: number, { pieces }: Held): Promise<boolean> {
  const both = pieces.filter((piece) => piece.offset + piece.bytes <= bytes);
  for (const piece of new Set([both[0], both.at(-1)])) {
    const content = piece && (await readAt(path, piece.offset, piece.bytes));
    if (content && sha256Of(content) !== piece.sha256) return true;
  }
  return false;
}

/** Resolves with how far it came. Rejects with what the disk says. */
async function fill(file: FileHandle, { pieces, begun }: Held, store: Reader, options: TakeOptions): Promise<Taken> {
  let bytes = 0;
  for (const piece of pieces) {
    // The wait for its turn counts as well: the line does not wait.
    const limit = deadlineAfter(longestMs(piece.bytes), options.signal);
    let disk: { readonly error: unknown } | undefined;
    try {
      await store.inTurn(limit.signal, async () => {
        const content = await store.read(piece, limit.signal);
        await file.writeFile(content).catch((error: unknown) => {
          disk = { error };
        });
      });
    } catch (error) {
      return { bytes, failure: { piece, error } };
    } finally {
      limit.clear();
    }
    if (disk) throw disk.error;
    bytes += piece.bytes;
    options.onProgress?.(bytes, begun.total);
  }
  return { bytes };
}

/** A part as one that a run has closed. What is not worth it, or not whole for the disk's sake, is removed. */
async function writePart(
  paths: PartPaths,
  sidecar: Sidecar,
  fillIt: (file: FileHandle) => Promise<Taken>,
  isWorth: (bytes: number) => boolean,
): Promise<Taken & { readonly isKept: boolean }> {
  const remove = async (): Promise<void> => {
    for (const path of [paths.part, paths.sidecar]) await rm(path, { force: true });
  };
  try {
    await writeSidecar(paths.sidecar, sidecar);
    const file = await open(paths.part, 'wx');
    let taken: Taken;
    try {
      taken = await fillIt(file);
      if (isWorth(taken.bytes)) await file.datasync();
    } finally {
      await file.close();
    }
    const isKept = isWorth(taken.bytes);
    if (isKept) await writeSidecar(paths.sidecar, { ...sidecar, syncedBytes: taken.bytes, closed: true });
    else await remove();
    return { ...taken, isKept };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** They are of what is held as an image already: the origin is only asked whether it has another one. */
const areOf = (known: Validators | undefined, { validators }: Held['begun']): boolean =>
  known !== undefined && known.etag === validators.etag && known.lastModified === validators.lastModified;

/**
 * `undefined`: there is nothing that would be worth it, or no room. Rejects with what the disk says; then nothing is left of it.
 * Safe to abort and to repeat, and beside other runs: the file is one more generation of the spool.
 */
export async function takePieces(
  held: readonly Held[],
  store: Reader,
  options: TakeOptions,
): Promise<Taken | undefined> {
  const { folder, key, makeRoom, known } = options;
  const best = bestOf(held);
  if (!best || areOf(known, best.begun)) return undefined;
  await makeFolder(folder);
  const local = await localPart(options);
  const differs = local !== undefined && (await holdsOther(local.path, local.bytes, best));
  const isWorth = (bytes: number): boolean => bytes > 0 && isWorthTaking({ ...best, bytes }, local, differs);
  if (!isWorth(best.bytes) || !(await hasRoomFor(folder, best.bytes, makeRoom))) return undefined;
  const removeOthers = await listLeftParts(folder, key);
  const { validators, total, labels = {} } = best.begun;
  const sidecar = { validators, labels, ...(total === undefined ? {} : { total }), ...newRun(), syncedBytes: 0 };
  const fillIt = (file: FileHandle): Promise<Taken> => fill(file, best, store, options);
  const { isKept, ...taken } = await writePart(newPaths(folder, key), sidecar, fillIt, isWorth);
  if (isKept) {
    await syncFolder(folder);
    await removeOthers();
  }
  return taken;
}
