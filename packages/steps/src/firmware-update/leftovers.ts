/** What is left of a download once nobody will go on with it. */
import type { StepContext } from '@khumbu/operations/jobs/job-loop';
import type { FirmwareFetchRecord } from '@khumbu/operations/kinds/firmware-fetch/record';
import { deadlineAfter } from '@khumbu/shared/runtime/abort';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { StepDeps } from './step-deps.js';

export interface LeftoverDeps {
  /**
   * What is left in the spool of downloads under this key at this moment; call what it resolves with to remove just that. Safe
   * beside runs that begin meanwhile.
   */
  readonly listLeftParts: (key: string) => Promise<() => Promise<void>>;
  /**
   * The same of what workers with a spool each have kept for each other in the object store; its removal resolves with how many
   * objects that were. Absent: they share the spool, or keep nothing.
   */
  readonly listLeftPieces?: (key: string, signal: AbortSignal) => Promise<() => Promise<number>>;
}

/** Nothing waits longer for the list. */
const LIST_MS = 5000;

/** Resolves with what removes them, in the background. Neither ever rejects: what stays all the same is swept. */
export async function listLeftPieces(
  deps: Pick<LeftoverDeps, 'listLeftPieces'>,
  key: string,
  { signal, log }: Pick<StepContext, 'signal' | 'log'>,
): Promise<() => void> {
  const limit = deadlineAfter(LIST_MS, signal);
  const onFailure = (error: unknown): void => {
    const what = 'what is left of a download in the object store is removed after seven days';
    log.warn({ reason: describeError(error) }, what);
  };
  try {
    const remove = await deps.listLeftPieces?.(key, limit.signal);
    return () => void remove?.().catch(onFailure);
  } catch (error) {
    onFailure(error);
    return () => undefined;
  } finally {
    limit.clear();
  }
}

/**
 * Makes room in the object store for the image itself, which is whole in the own spool by now. Resolves with whether anything was
 * there. Rejects as the store does.
 */
export async function removeLeftPieces(
  { listLeftPieces: list }: Pick<LeftoverDeps, 'listLeftPieces'>,
  key: string,
  signal: AbortSignal,
): Promise<boolean> {
  const remove = await list?.(key, signal);
  return ((await remove?.()) ?? 0) > 0;
}

/**
 * A run that lost its job while its process stood still keeps its part for the one that goes on. When that one has long
 * brought the image, no run would come for the part. What is left is listed before the record is read: a run that begins
 * after that is not touched. A fetch that goes on is left at once: a process that stops has no time for lists.
 */
export async function removeUnlessWanted(
  deps: LeftoverDeps & Pick<StepDeps, 'store'>,
  fetch: FirmwareFetchRecord,
  context: Pick<StepContext, 'signal' | 'log'>,
): Promise<void> {
  const isWanted = async (): Promise<boolean> => {
    const current = await deps.store.load(fetch.id, 'firmware_fetch');
    const hasCome = current?.held?.fetchedAt !== fetch.held?.fetchedAt;
    return current !== undefined && (current.state === 'Fetching' || !hasCome);
  };
  if (await isWanted()) return;
  const removePieces = await listLeftPieces(deps, fetch.id, context);
  const removeLeft = await deps.listLeftParts(fetch.id);
  if (await isWanted()) return;
  removePieces();
  await removeLeft();
}
