/**
 * The depot's fetch of one location: run it while somebody waits for it, then tell everybody who did. Both halves can
 * be done again: the download goes on where it stopped, and a waiter that has been told is not waiting any more.
 */
import type { OnProgress, ProgressPort } from '@khumbu/operations/events/progress';
import type { StepContext } from '@khumbu/operations/jobs/job-loop';
import { retryPause } from '@khumbu/operations/jobs/retry-pause';
import {
  type FetchedVersion,
  type FetchResult,
  type FirmwareFetchRecord,
  fetchDelivered,
  fetchEnded,
} from '@khumbu/operations/kinds/firmware-fetch/record';
import {
  type FirmwareUpdateRecord,
  installAt,
  type StoredImage,
  triesAllowed,
} from '@khumbu/operations/kinds/firmware-update/record';
import type { Notifications } from '@khumbu/operations/records/notifications';
import { toldFault } from '@khumbu/operations/records/told-fault';
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import type { Validators } from '../fetching/content-range.js';
import { FetchError } from '../fetching/fetch-error.js';
import type { FetchResult as Fetched } from '../fetching/fetch-image.js';
import { connectorsFlagOfLocation } from '../images/image-metadata.js';
import type { ImageFacts } from '../writing/image-facts.js';
import { connectorsDetail } from './connectors.js';
import { applyAll, requireProfile, type StepDeps, viewStation } from './step-deps.js';

/** How often a running fetch looks whether anybody still waits. */
const INTEREST_MS = 1000;

/** The reason of a run that was given up because its last waiter had gone. */
const NOBODY_WAITS = 'nobody_waits';
const isUnwanted = (result: FetchResult): boolean => !result.ok && result.reason === NOBODY_WAITS;

/** For a waiter whose station was taken out of the stations file meanwhile. */
const NOT_CONFIGURED: Extract<FetchResult, { ok: false }> = {
  ok: false,
  permanent: true,
  reason: 'station_not_configured',
  message: 'the station is not in the stations file any more',
};

export interface FetchDeps extends StepDeps {
  readonly notifications: Notifications;
  readonly download: (
    location: string,
    key: string,
    known: Validators | undefined,
    signal: AbortSignal,
    onProgress: OnProgress,
  ) => Promise<Fetched>;
  readonly progress: ProgressPort;
  readonly defaults: {
    readonly tries: number;
    readonly retryIntervalS: number;
    readonly reuseUnaskedMs: number;
    /** As `RetryWish.mostS`. */
    readonly mostRetryAfterS: number;
    /** Least size of an image. */
    readonly minBytes: number;
  };
}

/** Pure: whether this update waits for this run of the fetch. */
export const waitsFor = (update: FirmwareUpdateRecord | undefined, fetch: FirmwareFetchRecord): boolean =>
  update?.state === 'Downloading' && update.fetch?.id === fetch.id && update.fetch.generation === fetch.generation;

/**
 * Pure: what is held may be used without asking the origin, because there is no way to ask that does not cost the whole
 * image, and it was just fetched.
 */
export const isFresh = (held: FetchedVersion, now: number, reuseUnaskedMs: number): boolean =>
  ((held.etag === undefined && held.lastModified === undefined) || held.sentAnyway === true) &&
  now >= held.fetchedAt &&
  now - held.fetchedAt < reuseUnaskedMs;

const validatorsOf = ({ etag, lastModified }: Validators): Validators => ({
  ...(etag === undefined ? {} : { etag }),
  ...(lastModified === undefined ? {} : { lastModified }),
});

/** A login page, a portal of the network, an error told with 200. Another try may find the image. */
const WEB_PAGE: Extract<FetchResult, { ok: false }> = {
  ok: false,
  permanent: false,
  reason: 'web_page',
  message: 'the server sent a web page (text/html) and no image; a signed one would be judged by its signature',
};

/** Pure: what the end of a fetch means to one of those who waited for it. */
export const resultFor = (result: FetchResult, { signed }: Pick<FirmwareUpdateRecord, 'signed'>): FetchResult =>
  result.ok && result.webPage && !signed ? WEB_PAGE : result;

const WAITERS_IN_LOG = 20;

/** What lies behind, for whoever reads the log: records of stations do not say it. */
const detailOf = (error: unknown, { waiters }: FirmwareFetchRecord): object => ({
  message: describeError(error),
  ...(error instanceof FetchError && error.cause !== undefined ? { cause: describeError(error.cause) } : {}),
  waiters: waiters.slice(0, WAITERS_IN_LOG),
});

const arrivedAs = ({ image, webPage }: FetchedVersion): FetchResult => ({
  ok: true,
  image,
  ...(webPage ? { webPage } : {}),
});

export function createFetch(deps: FetchDeps) {
  const { store, jobs, images, notifications, now, defaults, progress } = deps;

  const waitersOf = async (fetch: FirmwareFetchRecord): Promise<FirmwareUpdateRecord[]> => {
    const records = (await store.loadMany(fetch.waiters)) as FirmwareUpdateRecord[];
    return records.filter((update) => waitsFor(update, fetch));
  };

  /** A signal that also fires when nobody waits any more. */
  const whileWanted = (fetch: FirmwareFetchRecord, signal: AbortSignal) => {
    const unwanted = new AbortController();
    let waiting: readonly FirmwareUpdateRecord[] = [];
    const look = (): void => {
      waitersOf(fetch).then(
        (waiters) => {
          waiting = waiters;
          if (waiters.length === 0) unwanted.abort(new CodedError('ABORTED', 'nobody waits for it any more'));
        },
        () => undefined,
      );
    };
    const timer = setInterval(look, INTEREST_MS);
    const unsubscribe = notifications.on('cancel', (id) => fetch.waiters.includes(id) && look());
    look();
    return {
      signal: AbortSignal.any([signal, unwanted.signal]),
      onProgress: progress(
        fetch.id,
        () => waiting.map(({ id, station, kind }) => ({ operationId: id, station, kind })),
        fetch.generation,
      ),
      isUnwanted: () => unwanted.signal.aborted,
      done: () => {
        clearInterval(timer);
        unsubscribe();
      },
    };
  };

  const areHere = async ({ asCame, ...image }: StoredImage, signal: AbortSignal): Promise<boolean> =>
    (await images.has(image, signal)) && (asCame === undefined || (await images.has(asCame, signal)));

  const obtain = async (
    fetch: FirmwareFetchRecord,
    signal: AbortSignal,
    onProgress: OnProgress,
  ): Promise<{ result: FetchResult; held?: FetchedVersion }> => {
    const { held } = fetch;
    // One that an older version took, or that was taken under other settings.
    const isBigEnough = held !== undefined && held.image.sizeBytes >= defaults.minBytes;
    const isHere = isBigEnough && (await areHere(held.image, signal));
    if (held && isHere && isFresh(held, now().wall, defaults.reuseUnaskedMs)) return { result: arrivedAs(held) };
    const known = held && isHere ? validatorsOf(held) : undefined;
    const fetched = await deps.download(fetch.location, fetch.id, known, signal, onProgress);
    if (fetched.kind === 'unchanged') {
      if (!held) throw new TypeError('nothing is held that could be unchanged');
      const asked = { ...held, sentAnyway: true as const, fetchedAt: now().wall };
      return { result: arrivedAs(held), ...(fetched.sentAnyway ? { held: asked } : {}) };
    }
    const keep = async (file: ImageFacts & { path: string; sizeBytes: number }): Promise<StoredImage> => {
      await deps.checks.remember(file.path, file);
      const { sha256, sizeBytes } = file;
      await images.keep({ sha256, sizeBytes }, signal);
      return { sha256, sizeBytes };
    };
    const asCame = fetched.asCame ? { asCame: await keep(fetched.asCame) } : {};
    const image = { ...(await keep(fetched)), ...asCame };
    const webPage = fetched.webPage ? { webPage: true as const } : {};
    const version = { image, fetchedAt: now().wall, ...validatorsOf(fetched), ...webPage };
    return { result: arrivedAs(version), held: version };
  };

  const run = async (fetch: FirmwareFetchRecord, { signal, log, isOurs }: StepContext): Promise<void> => {
    const wanted = whileWanted(fetch, signal);
    let end: { result: FetchResult; held?: FetchedVersion };
    try {
      if ((await waitersOf(fetch)).length === 0) throw new CodedError('NOBODY_WAITS', 'nobody waits for it');
      end = await obtain(fetch, wanted.signal, wanted.onProgress);
    } catch (error) {
      if (signal.aborted || !(await isOurs())) throw error;
      const nobody = wanted.isUnwanted() || (error instanceof CodedError && error.code === 'NOBODY_WAITS');
      const failure = error instanceof FetchError ? error : undefined;
      // Another process runs this very fetch: that is not the origin's fault and no try of anybody.
      if (failure?.reason === 'superseded') throw error;
      // A coded error is one of the object store: it says what is wrong as well as ours.
      const word = failure?.reason ?? (error instanceof CodedError ? error.code.toLowerCase() : 'error');
      const reason = nobody ? NOBODY_WAITS : word;
      if (reason === 'error') log.error({ err: error }, 'fetch failed unexpectedly');
      else log.info({ reason, ...detailOf(error, fetch) }, 'fetch ended without an image');
      end = {
        result: {
          ok: false,
          permanent: failure?.code === 'FETCH_PERMANENT',
          reason,
          message: describeError(error),
          ...(failure?.retryAfterS === undefined ? {} : { retryAfterS: failure.retryAfterS }),
        },
      };
    } finally {
      wanted.done();
    }
    // Waiters may have joined meanwhile: end the fetch as it is now, not as it was when it began.
    for (;;) {
      const current = (await store.load(fetch.id)) as FirmwareFetchRecord | undefined;
      if (current?.state !== 'Fetching' || current.generation !== fetch.generation) return;
      // Somebody came while it was being given up: for him it runs again.
      if (isUnwanted(end.result) && (await waitersOf(current)).length > 0) return;
      if (await store.commit(store.transaction().put(fetchEnded(current, end.result, end.held, now())))) return;
      signal.throwIfAborted();
    }
  };

  /** One waiter hears how it ended. Repeats on a lost race; a waiter that has moved on is left alone. */
  const tell = async (fetch: FirmwareFetchRecord, result: FetchResult, operationId: string): Promise<void> => {
    for (;;) {
      const update = (await store.load(operationId)) as FirmwareUpdateRecord | undefined;
      // One that rests for an offer joins again when it goes on.
      if (!update || !waitsFor(update, fetch) || update.heldFor !== undefined) return;
      const view = await viewStation(deps, update.station);
      const { fetch: _fetch, ...without } = update;
      const transaction = store.transaction();
      const outcome = view.profile ? resultFor(result, update) : NOT_CONFIGURED;
      const next = outcome.ok
        ? arrived(transaction, without, outcome, view)
        : failed(transaction, without, outcome, view);
      if (await store.commit(transaction)) {
        await jobs.ensure({ ...next, version: next.version + 1 });
        return;
      }
    }
  };

  const arrived = (
    transaction: ReturnType<typeof store.transaction>,
    update: FirmwareUpdateRecord,
    { image }: Extract<FetchResult, { ok: true }>,
    view: Awaited<ReturnType<typeof viewStation>>,
  ): FirmwareUpdateRecord => {
    const flag = update.signed ? undefined : connectorsFlagOfLocation(update.request.location);
    const { asCame: _asCame, ...unsigned } = image;
    const set = {
      image: update.signed ? image : unsigned,
      ...(update.signed ? {} : connectorsDetail(update, requireProfile(view), flag)),
    };
    const later = !update.signed && (installAt(update) ?? 0) > view.context.now.wall;
    const events = [
      { event: 'fetched' as const, detail: { set } },
      ...(later ? [{ event: 'installLater' as const }] : []),
    ];
    return applyAll(transaction, update, events, view.context);
  };

  const failed = (
    transaction: ReturnType<typeof store.transaction>,
    update: FirmwareUpdateRecord,
    result: Extract<FetchResult, { ok: false }>,
    view: Awaited<ReturnType<typeof viewStation>>,
  ): FirmwareUpdateRecord => {
    const { permanent, retryAfterS } = result;
    const { reason, message } = toldFault(result, update.origin);
    const outOfTries = update.tries >= triesAllowed(update.request, defaults.tries);
    if (permanent || outOfTries) {
      return applyAll(transaction, update, [{ event: 'gaveUp', detail: { reason, message } }], view.context);
    }
    const wish = {
      intervalS: update.request.retry_interval_s ?? defaults.retryIntervalS,
      retryAfterS,
      mostS: defaults.mostRetryAfterS,
      triesLeft: triesAllowed(update.request, defaults.tries) - update.tries,
      deadlineAt: update.deadlineAt,
    };
    const set = { ...retryPause(wish, now()), run: update.run + 1 };
    return applyAll(transaction, update, [{ event: 'tryFailed', detail: { reason, set } }], view.context);
  };

  const deliver = async (fetch: FirmwareFetchRecord, { commit }: StepContext): Promise<void> => {
    const { result } = fetch;
    if (result) {
      const told = await Promise.allSettled(fetch.waiters.map((id) => tell(fetch, result, id)));
      const problem = told.find((one) => one.status === 'rejected');
      if (problem) throw problem.reason;
    }
    await commit(store.transaction().put(fetchDelivered(fetch, now())));
  };

  return (fetch: FirmwareFetchRecord, context: StepContext): Promise<void> =>
    fetch.state === 'Fetching' ? run(fetch, context) : deliver(fetch, context);
}
