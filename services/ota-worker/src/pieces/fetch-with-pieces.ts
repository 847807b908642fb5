/**
 * A fetch whose progress outlives its worker where each has a spool of its own: it begins with what another one has kept in the
 * object store, and keeps there what comes. Without the store it is a fetch as any other.
 */
import { join } from 'node:path';
import { deadlineAfter } from '@khumbu/shared/runtime/abort';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { Downloaded } from '@khumbu/steps/firmware-update/image-ports';
import { isOfNoUse } from '../fetching/fetch-image.js';
import { fetchInThread, type ThreadFetchOptions } from '../fetching/fetch-in-thread.js';
import { PieceKeeper } from './keep-pieces.js';
import { type Earlier, NOTHING_EARLIER, type PieceStore, type PiecesLog } from './piece-store.js';
import { takePieces } from './take-pieces.js';

/** A store that is silent holds no download up for longer. */
const FIND_MS = 10_000;

export interface PiecesDeps {
  readonly store: PieceStore;
  readonly log: PiecesLog;
}

/** Never rejects: what is not found is fetched. */
async function findEarlier({ store, log }: PiecesDeps, fetch: string, signal: AbortSignal): Promise<Earlier> {
  const limit = deadlineAfter(FIND_MS, signal);
  try {
    return await store.find(fetch, limit.signal);
  } catch (error) {
    const reason = describeError(error);
    if (!signal.aborted)
      log.warn({ fetch, reason }, 'the object store did not say what other workers have of a download');
    return NOTHING_EARLIER;
  } finally {
    limit.clear();
  }
}

/** Never rejects, as above. */
async function takeOver({ store, log }: PiecesDeps, earlier: Earlier, options: ThreadFetchOptions): Promise<void> {
  const { key: fetch, spoolDir, signal, makeRoom } = options;
  const folder = join(spoolDir, 'fetching');
  try {
    const room = makeRoom === undefined ? {} : { makeRoom };
    const taken = await takePieces(earlier, store, { key: fetch, folder, signal, ...room });
    if (!taken || signal.aborted) return;
    const { bytes, failure } = taken;
    if (failure === undefined) log.info({ fetch, bytes }, 'a download goes on with what another worker has brought');
    else {
      const reason = describeError(failure);
      log.warn({ fetch, bytes, reason }, 'what another worker has brought of a download could not be read as a whole');
    }
  } catch (error) {
    log.warn(
      { fetch, reason: describeError(error) },
      'what another worker has brought of a download was not taken over',
    );
  }
}

/** As `fetchInThread`. */
export async function fetchWithPieces(options: ThreadFetchOptions, deps: PiecesDeps): Promise<Downloaded> {
  const { key, signal } = options;
  signal.throwIfAborted();
  const earlier = await findEarlier(deps, key, signal);
  await takeOver(deps, earlier, options);
  const keeper = new PieceKeeper(deps.store, key, earlier, deps.log);
  try {
    const result = await fetchInThread({ ...options, onPart: keeper.follow });
    await keeper.end('came');
    return result;
  } catch (error) {
    await keeper.end(isOfNoUse(error) ? 'of no use' : 'broken off');
    throw error;
  }
}
