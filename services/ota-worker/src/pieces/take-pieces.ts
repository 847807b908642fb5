/** Takes what another worker has kept of a download over into a part file of the own spool, for `resumeDownload` to go on with. */

import { deadlineAfter } from '@khumbu/shared/runtime/abort';
import { makeFolder } from '@khumbu/shared/runtime/folders';
import type { FetchOptions } from '../fetching/fetch-options.js';
import { PartFile } from '../fetching/part-file.js';
import { hasRoomFor, listLeftParts, longestPart } from '../fetching/resume-download.js';
import { newPaths } from '../fetching/sidecar.js';
import { bestOf, type Held, isWorthTaking, type LocalPart } from './piece-names.js';
import type { Earlier, PieceStore } from './piece-store.js';

/** A piece; a store that takes longer is slower than most lines. */
const READ_MS = 30_000;

export interface TakeOptions extends Pick<FetchOptions, 'key' | 'signal' | 'makeRoom'> {
  /** Of the parts. */
  readonly folder: string;
}

export interface Taken {
  readonly bytes: number;
  /** Why it is less than what was kept: a piece is damaged or gone, or the store does not answer. What was before it counts. */
  readonly failure?: unknown;
}

async function localPart({ folder, key }: TakeOptions): Promise<LocalPart | undefined> {
  const found = await longestPart(folder, key);
  if (!found) return undefined;
  const { validators, total, startedAt } = found.sidecar;
  return {
    bytes: found.usable,
    validators,
    ...(total === undefined ? {} : { total }),
    ...(startedAt === undefined ? {} : { startedAt }),
  };
}

/** Resolves with why it ended early, if it did. Rejects with what the disk says. */
async function appendPieces(
  part: PartFile,
  { pieces }: Held,
  store: Pick<PieceStore, 'read'>,
  signal: AbortSignal,
): Promise<unknown> {
  for (const piece of pieces) {
    const limit = deadlineAfter(READ_MS, signal);
    const read = await store.read(piece, limit.signal).then(
      (bytes) => ({ bytes }),
      (failure: unknown) => ({ failure }),
    );
    limit.clear();
    if ('failure' in read) return read.failure;
    part.append(read.bytes);
  }
  return undefined;
}

/**
 * `undefined`: there is nothing that would be worth it, or no room. Rejects with what the disk says; then nothing is left of it.
 * Safe to abort and to repeat, and beside other runs: the file is one more generation of the spool.
 */
export async function takePieces(
  { held }: Earlier,
  store: Pick<PieceStore, 'read'>,
  options: TakeOptions,
): Promise<Taken | undefined> {
  const { folder, key, signal, makeRoom } = options;
  const best = bestOf(held);
  if (!best) return undefined;
  await makeFolder(folder);
  const local = await localPart(options);
  if (!isWorthTaking(best, local) || !(await hasRoomFor(folder, best.bytes, makeRoom))) return undefined;
  const removeOthers = await listLeftParts(folder, key);
  const { validators, total, labels } = best.begun;
  const part = await PartFile.create(newPaths(folder, key), validators, total, labels);
  try {
    const failure = await appendPieces(part, best, store, signal);
    const bytes = part.held.offset;
    if (bytes > 0 && isWorthTaking({ ...best, bytes }, local)) {
      await part.close();
      await removeOthers();
    } else await part.discard();
    return { bytes, ...(failure === undefined ? {} : { failure }) };
  } catch (error) {
    await part.discard();
    throw error;
  }
}
