/**
 * The depot's fetch of one location: it runs while updates wait for it, and its end is committed to each of them. Both can
 * be repeated: the download is resumed, and an update that was committed to does not wait any more.
 */
import { noteObtained } from '@khumbu/operations/artifacts/artifact-records';
import { expectNotRemoved } from '@khumbu/operations/artifacts/artifact-removals';
import type { StepContext } from '@khumbu/operations/jobs/job-loop';
import type { RetrySettings } from '@khumbu/operations/jobs/retry-pause';
import { type FirmwareFetchRecord, fetchEnded } from '@khumbu/operations/kinds/firmware-fetch/record';
import type { WanMeter } from '@khumbu/operations/wan/wan-meter';
import { CodedError, describeError, hasCode } from '@khumbu/shared/runtime/errors';
import type { DownloadGate } from './download-gate.js';
import { FetchError } from './fetch-error.js';
import { failureOf, isUnwanted, PAUSED } from './fetch-results.js';
import { createWaiters, runOf, type WaitersDeps } from './fetch-waiters.js';
import { type LeftoverDeps, listLeftPieces, removeUnlessWanted } from './leftovers.js';
import { createNotifyWaiters } from './notify-waiters.js';
import { createObtainImage, type ObtainedImage, type ObtainImageDeps } from './obtain-image.js';
import type { StepDeps } from './step-deps.js';

export interface FetchDeps extends StepDeps, ObtainImageDeps, WaitersDeps, LeftoverDeps {
  readonly retries: RetrySettings;
  readonly gate: DownloadGate;
  readonly meter: WaitersDeps['meter'] & Pick<WanMeter, 'forgetBrought'>;
}

const WAITERS_IN_LOG = 20;

/** For the log alone: records of stations do not repeat it. */
const detailOf = (error: unknown, { waiters }: FirmwareFetchRecord): object => ({
  message: describeError(error),
  ...(error instanceof FetchError && error.cause !== undefined ? { cause: describeError(error.cause) } : {}),
  waiters: waiters.slice(0, WAITERS_IN_LOG),
});

export function createFetch(deps: FetchDeps) {
  const { store, now, gate } = deps;
  const { waitersOf, whileWanted } = createWaiters(deps);
  const obtain = createObtainImage(deps);
  const notifyWaiters = createNotifyWaiters(deps, deps.retries);

  const obtainWhileWanted = async (
    fetch: FirmwareFetchRecord,
    { signal, log, isOurs }: StepContext,
  ): Promise<ObtainedImage> => {
    const run = whileWanted(fetch, signal, log);
    const brought = () => ({ wanBytes: run.amount().received });
    try {
      await run.begin();
      run.signal.throwIfAborted();
      const obtained = await obtain(fetch, run.signal, run.onProgress);
      return { ...obtained, result: { ...obtained.result, ...brought() } };
    } catch (error) {
      if (signal.aborted || !(await isOurs())) throw error;
      if (run.isPaused()) {
        const { toCome } = run.amount();
        log.info({ ...brought(), toCome }, 'fetch paused');
        return { result: { ...PAUSED, ...brought(), ...(toCome === undefined ? {} : { bytesToCome: toCome }) } };
      }
      // Another process runs the same fetch: no failure of the origin, and no try of the waiters.
      if (error instanceof FetchError && error.reason === 'superseded') throw error;
      // Nor is it one that what had just come was removed.
      if (hasCode(error, 'CONFLICT')) throw error;
      const result = failureOf(error, run.isUnwanted());
      const { reason } = result;
      if (reason === 'error') log.error({ err: error }, 'fetch failed unexpectedly');
      else log.info({ reason, ...detailOf(error, fetch) }, 'fetch ended without an image');
      if (result.retryAfterS !== undefined)
        await gate.noteFailure(fetch.location, reason, result.retryAfterS, await waitersOf(fetch), now());
      return { result: { ...result, ...brought() } };
    } finally {
      await run.end();
    }
  };

  /** Its end holds them: what stays all the same is of a generation that never comes again, and expires. */
  const forgetBrought = async (fetch: FirmwareFetchRecord, { log }: StepContext): Promise<void> => {
    await deps.meter.forgetBrought(runOf(fetch)).catch((error: unknown) => {
      log.debug({ reason: describeError(error) }, 'the bytes of a fetch that has ended stay counted for a week');
    });
  };

  const run = async (fetch: FirmwareFetchRecord, context: StepContext): Promise<void> => {
    const {
      result,
      held,
      marks = [],
      fetchedBytes = 0,
      md5s,
    } = await obtainWhileWanted(fetch, context).catch(async (error: unknown) => {
      await removeUnlessWanted(deps, fetch, context).catch((failure: unknown) => {
        context.log.warn(
          { err: failure },
          'could not look for what is left of a download; it is removed after seven days',
        );
      });
      throw error;
    });
    const { location } = fetch;
    // Only now: until here another worker could still go on with them.
    const removePieces = result.ok ? await listLeftPieces(deps, fetch.id, context) : undefined;
    // Updates may have joined meanwhile: the record as it is now is ended, not as it was at the start of the run.
    for (;;) {
      const current = await store.load(fetch.id, 'firmware_fetch');
      if (current?.state !== 'Fetching') return removePieces?.();
      if (current.generation !== fetch.generation) return;
      // An update that joined during the abort is a reason to run again.
      if (isUnwanted(result) && (await waitersOf(current)).length > 0) return;
      const transaction = store.transaction().put(fetchEnded(current, result, held, now()));
      expectNotRemoved(transaction, marks);
      if (result.ok) noteObtained(transaction, result.image, { location, fetchedBytes, md5s, at: now().wall });
      if (await store.commit(transaction)) {
        removePieces?.();
        return forgetBrought(fetch, context);
      }
      context.signal.throwIfAborted();
      for (const [sha256, mark] of marks) {
        const [, markNow] = await deps.artifacts.settled(sha256, context.signal);
        if (markNow !== mark) throw new CodedError('CONFLICT', 'the image was removed meanwhile');
      }
    }
  };

  return (fetch: FirmwareFetchRecord, context: StepContext): Promise<void> =>
    fetch.state === 'Fetching' ? run(fetch, context) : notifyWaiters(fetch, context);
}
