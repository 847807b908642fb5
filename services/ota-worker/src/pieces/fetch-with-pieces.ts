/**
 * A fetch whose progress outlives its worker where each has a spool of its own: it begins with what another one has kept in the
 * object store, and keeps there what comes. Without the store it is a fetch as any other.
 */
import { join } from 'node:path';
import { deadlineAfter } from '@khumbu/shared/runtime/abort';
import { describeError, hasCode } from '@khumbu/shared/runtime/errors';
import type { Downloaded } from '@khumbu/steps/firmware-update/image-ports';
import { isOfNoUse } from '../fetching/fetch-image.js';
import { fetchInThread, type ThreadFetchOptions } from '../fetching/fetch-in-thread.js';
import { PieceKeeper } from './keep-pieces.js';
import { cutAt, type Held } from './piece-names.js';
import type { PieceStore, PiecesLog } from './piece-store.js';
import { type Taken, takePieces } from './take-pieces.js';

/** A store that is silent holds no download up for longer. */
const FIND_MS = 10_000;

export interface PiecesDeps {
  readonly store: PieceStore;
  readonly log: PiecesLog;
  /** How long the end of a run may take to put what is not in the store yet, in milliseconds; default: 2000. */
  readonly lastMs?: number;
}

/** Never rejects: what is not found is fetched. `undefined`: these keys may not see it, and so nothing is kept either. */
async function findEarlier(
  { store, log }: PiecesDeps,
  fetch: string,
  signal: AbortSignal,
): Promise<readonly Held[] | undefined> {
  const limit = deadlineAfter(FIND_MS, signal);
  try {
    return (await store.find(fetch, limit.signal)).held;
  } catch (error) {
    const reason = describeError(error);
    const isDenied = hasCode(error, 'S3_DENIED');
    if (isDenied)
      log.warn(
        { fetch, reason },
        'downloads are not kept for other workers: the keys of the object store may not list and read',
      );
    else if (!signal.aborted)
      log.warn({ fetch, reason }, 'the object store did not say what other workers have of a download');
    return isDenied ? undefined : [];
  } finally {
    limit.clear();
  }
}

/** Of a piece that is not there as it was put, nothing is to be gone on with again. */
const withoutDamage = (held: readonly Held[], { failure }: Taken): readonly Held[] =>
  failure && hasCode(failure.error, 'S3_CORRUPT', 'S3_NO_SUCH_KEY') ? cutAt(held, failure.piece.key) : held;

/** Never rejects, as above. Resolves with what the store is known to hold. */
async function takeOver(
  { store, log }: PiecesDeps,
  held: readonly Held[],
  options: ThreadFetchOptions,
): Promise<readonly Held[]> {
  const { key: fetch, spoolDir, signal, makeRoom, known, onProgress } = options;
  const folder = join(spoolDir, 'fetching');
  try {
    const ports = { ...(makeRoom && { makeRoom }), ...(known && { known }), ...(onProgress && { onProgress }) };
    const taken = await takePieces(held, store, { key: fetch, folder, signal, ...ports });
    if (!taken || signal.aborted) return held;
    const { bytes, failure } = taken;
    if (!failure) log.info({ fetch, bytes }, 'a download goes on with what another worker has brought');
    else {
      const reason = describeError(failure.error);
      log.warn({ fetch, bytes, reason }, 'what another worker has brought of a download could not be read as a whole');
    }
    return withoutDamage(held, taken);
  } catch (error) {
    log.warn(
      { fetch, reason: describeError(error) },
      'what another worker has brought of a download was not taken over',
    );
    return held;
  }
}

/** As `fetchInThread`. */
export async function fetchWithPieces(options: ThreadFetchOptions, deps: PiecesDeps): Promise<Downloaded> {
  const { key, signal } = options;
  signal.throwIfAborted();
  const earlier = await findEarlier(deps, key, signal);
  if (!earlier) return fetchInThread(options);
  const keeper = new PieceKeeper(deps.store, key, await takeOver(deps, earlier, options), deps.log, deps.lastMs);
  try {
    const result = await fetchInThread({ ...options, onPart: keeper.follow });
    await keeper.end('came');
    return result;
  } catch (error) {
    await keeper.end(isOfNoUse(error) ? 'of no use' : 'broken off');
    throw error;
  }
}
