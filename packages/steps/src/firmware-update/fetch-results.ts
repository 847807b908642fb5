/** What the end of a fetch means to the updates that wait for it. Pure. */
import type { FetchedVersion, FetchResult, FirmwareFetchRecord } from '@khumbu/operations/kinds/firmware-fetch/record';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { reasonOfCode } from '@khumbu/operations/records/reasons';
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import { notConfigured } from '@khumbu/shared/stations/stations-file';
import type { Validators } from '@khumbu/transfer/port';
import { FetchError } from './fetch-error.js';

type Failure = Extract<FetchResult, { ok: false }>;

/** The result of a run that stopped because none of its waiters may have the image now. */
export const PAUSED: Failure = {
  ok: false,
  permanent: false,
  reason: 'paused',
  message: 'it was paused',
  paused: true,
};

/** The reason of a run that was aborted because its last waiter had ended. */
const NOBODY_WAITS = 'nobody_waits';
export const isUnwanted = (result: FetchResult): boolean => !result.ok && result.reason === NOBODY_WAITS;

/** For a waiter whose station was removed from the stations file meanwhile. */
export const NOT_CONFIGURED: Failure = {
  ok: false,
  permanent: true,
  reason: 'station_not_configured',
  message: notConfigured().message,
};

/** For the location of an artefact that was removed, or never here. */
export const NOT_HELD: Failure = {
  ok: false,
  permanent: true,
  reason: 'image_missing',
  message: 'the depot does not hold this artefact; see /v1/firmware-artifacts',
};

/** A login page, a captive portal, an error sent with 200. Another try may find the image. */
const WEB_PAGE: Failure = {
  ok: false,
  permanent: false,
  reason: 'web_page',
  message: 'the server sent a web page (text/html) and no image; a signed one would be judged by its signature',
};

/** Whether this update waits for this run of the fetch. */
export const waitsFor = (update: FirmwareUpdateRecord | undefined, fetch: FirmwareFetchRecord): boolean =>
  update?.state === 'Downloading' && update.fetch?.id === fetch.id && update.fetch.generation === fetch.generation;

/**
 * Whether the held image is used without a request to the origin: a conditional request would transfer the whole image
 * again, and it was fetched less than `reuseUnaskedMs` ago.
 */
export const isFresh = (held: FetchedVersion, now: number, reuseUnaskedMs: number): boolean =>
  ((held.etag === undefined && held.lastModified === undefined) || held.sentAnyway === true) &&
  now >= held.fetchedAt &&
  now - held.fetchedAt < reuseUnaskedMs;

export const validatorsOf = ({ etag, lastModified }: Validators): Validators => ({
  ...(etag === undefined ? {} : { etag }),
  ...(lastModified === undefined ? {} : { lastModified }),
});

export const arrivedAs = ({ image, webPage }: FetchedVersion): FetchResult => ({
  ok: true,
  image,
  ...(webPage ? { webPage } : {}),
});

/** What the end of a fetch means to one of its waiters. */
export const resultFor = (result: FetchResult, { signed }: Pick<FirmwareUpdateRecord, 'signed'>): FetchResult =>
  result.ok && result.webPage && !signed ? WEB_PAGE : result;

/** `isUnwanted`: the run was aborted for want of waiters. */
export function failureOf(error: unknown, isUnwanted: boolean): Failure {
  const failure = error instanceof FetchError ? error : undefined;
  // Any other coded error is one of the object store: its code is a stable word, too.
  const word = failure?.reason ?? (error instanceof CodedError ? reasonOfCode(error) : 'error');
  return {
    ok: false,
    permanent: failure?.code === 'FETCH_PERMANENT',
    reason: isUnwanted ? NOBODY_WAITS : word,
    message: describeError(error),
    ...(failure?.retryAfterS === undefined ? {} : { retryAfterS: failure.retryAfterS }),
  };
}
