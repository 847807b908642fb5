/**
 * The depot fetches a location once, however many updates want it. The fetch is a record of its own: updates join it,
 * each run is a generation, and when it ends every waiter is told. Whether a waiter is still interested is read from
 * the waiter's own record, so no waiter has to unsubscribe.
 */
import { createHash } from 'node:crypto';
import { isFileLocation, OWN_FRAGMENT } from '@khumbu/shared/locations/file-path';
import type { Moment } from '../../clock/depot-clock.js';
import type { Reason } from '../../records/reasons.js';
import { type AnyRecord, inState, newDepotRecordBase, type RecordBase } from '../../records/record.js';
import type { StoredImage } from '../firmware-update/record.js';

/** `Resting`: no update waits. `Fetching`: this generation runs. `Delivering`: it has ended, its waiters are being updated. */
export type FirmwareFetchState = 'Resting' | 'Fetching' | 'Delivering';
export type FirmwareFetchEvent = 'joined' | 'ended' | 'delivered';

/** What the origin said about the version we hold. */
export interface FetchedVersion {
  readonly image: StoredImage;
  readonly etag?: string;
  readonly lastModified?: string;
  /** When it came, or was last found unchanged by an origin that sends it anyway; milliseconds since 1970. */
  readonly fetchedAt: number;
  /** The origin ignores the question whether it has changed and sends all of it. */
  readonly sentAnyway?: true;
  /** It is plainly a web page: an image only if a signature says so. */
  readonly webPage?: true;
}

export type FetchResult =
  | {
      readonly ok: true;
      readonly image: StoredImage;
      /** As in `FetchedVersion`. */
      readonly webPage?: true;
      /** Bytes that came over the WAN. */
      readonly wanBytes?: number;
    }
  | {
      readonly ok: false;
      readonly permanent: boolean;
      readonly reason: Reason;
      readonly message: string;
      readonly retryAfterS?: number;
      /** Nothing failed: no update that waits for it may have it now. */
      readonly paused?: true;
      /** Bytes that were still to come, where that is known. */
      readonly bytesToCome?: number;
      /** Bytes that came over the WAN. */
      readonly wanBytes?: number;
    };

export interface FirmwareFetchRecord extends RecordBase<'firmware_fetch', FirmwareFetchState> {
  /** Without fragment; may hold credentials. */
  readonly location: string;
  readonly generation: number;
  readonly waiters: readonly string[];
  /** Those who came while a generation was ending. */
  readonly nextWaiters: readonly string[];
  readonly held?: FetchedVersion;
  readonly result?: FetchResult;
}

export const isFetch = (record: AnyRecord): record is FirmwareFetchRecord => record.kind === 'firmware_fetch';

export const FIRMWARE_FETCH_TRANSITIONS = {
  Resting: { joined: 'Fetching' },
  Fetching: { ended: 'Delivering' },
  Delivering: { delivered: 'Resting', joined: 'Fetching' },
} as const satisfies Record<FirmwareFetchState, Partial<Record<FirmwareFetchEvent, FirmwareFetchState>>>;

/** Without what is meant for us alone. At a file server `#` may be part of a name. */
function forTheOrigin(location: string): string {
  const ofName = isFileLocation(location);
  const hash = location.indexOf('#');
  const isOurs = hash >= 0 && (!ofName || OWN_FRAGMENT.test(location.slice(hash + 1).trim()));
  return isOurs ? location.slice(0, hash) : location;
}

/**
 * Two locations with the same key are the same image. The fragment is for us, not for the origin; query parameters in
 * `ignored` (tokens, signatures) do not count. File servers know neither.
 */
export function fetchKey(location: string, ignored: readonly string[]): { id: string; location: string } {
  const withoutFragment = forTheOrigin(location);
  let identity = withoutFragment;
  if (ignored.length > 0 && !isFileLocation(location) && URL.canParse(withoutFragment)) {
    const url = new URL(withoutFragment);
    for (const name of ignored) url.searchParams.delete(name);
    identity = url.href;
  }
  const hash = createHash('sha256').update(identity).digest('hex').slice(0, 32);
  return { id: `firmware-fetch-${hash}`, location: withoutFragment };
}

export const newFetch = (id: string, location: string, now: Moment): FirmwareFetchRecord => ({
  ...newDepotRecordBase('firmware_fetch', 'Resting', { now, id }),
  location,
  generation: 0,
  waiters: [],
  nextWaiters: [],
});

/**
 * The fetch with one more waiter and the generation that will serve it. Joining one that is being told its end waits
 * for the next generation.
 */
export function joinFetch(
  fetch: FirmwareFetchRecord,
  operationId: string,
  location: string,
  now: Moment,
): { fetch: FirmwareFetchRecord; generation: number } {
  const add = (list: readonly string[]): string[] => [...list.filter((id) => id !== operationId), operationId];
  switch (fetch.state) {
    case 'Resting': {
      const generation = fetch.generation + 1;
      const { endedAt: _ended, outcome: _outcome, result: _result, ...open } = fetch;
      const next = {
        ...inState(open, 'Fetching', now),
        location,
        generation,
        waiters: [operationId],
        run: fetch.run + 1,
      };
      return { fetch: next, generation };
    }
    case 'Fetching':
      return { fetch: { ...fetch, waiters: add(fetch.waiters) }, generation: fetch.generation };
    case 'Delivering':
      return { fetch: { ...fetch, location, nextWaiters: add(fetch.nextWaiters) }, generation: fetch.generation + 1 };
  }
}

/** The run has ended; its waiters are to be told. */
export const fetchEnded = (
  fetch: FirmwareFetchRecord,
  result: FetchResult,
  held: FetchedVersion | undefined,
  now: Moment,
): FirmwareFetchRecord => ({
  ...inState(fetch, 'Delivering', now, result.ok ? undefined : result.reason),
  result,
  ...(held ? { held } : {}),
});

/** All waiters have been told: rest, or run for those who came meanwhile. */
export function fetchDelivered(fetch: FirmwareFetchRecord, now: Moment): FirmwareFetchRecord {
  const { result: _result, ...rest } = fetch;
  if (fetch.nextWaiters.length > 0) {
    const generation = fetch.generation + 1;
    return {
      ...inState(rest, 'Fetching', now),
      generation,
      waiters: fetch.nextWaiters,
      nextWaiters: [],
      run: fetch.run + 1,
    };
  }
  return { ...inState(rest, 'Resting', now), waiters: [], endedAt: now.wall };
}
