/**
 * What a station's host testified last: its boot, and the firmware it runs. Kept in the store, so that REST shows it and a
 * question for the boot reason is answered by it without opening a connection. Ordered by the depot's own clock: that of a
 * station may go back. Pure.
 */
import type { BootReason } from '@khumbu/shared/contract/schemas';
import { BootReason as BootReasons } from '@khumbu/shared/contract/schemas';
import { rfc3339 } from '@khumbu/shared/runtime/dates';
import type { Moment } from '../clock/depot-clock.js';
import { type StationEvent, stationEvent } from '../events/events.js';

/** As a driver gives it. */
export interface HostEvidence {
  readonly bootId: string;
  readonly version?: string;
  readonly slot?: string;
  readonly bootReason?: string;
  readonly installedAt?: Date;
  readonly runningInstalledBy?: string;
  readonly runningImageSha256?: string;
}

/** `at`, `installedAt` are dates, `steadyAt`, `bootSeenAt` on the depot's monotonic clock; milliseconds. */
export interface ObservedHost {
  readonly bootId: string;
  /** When this boot was first seen. */
  readonly bootSeenAt: number;
  /** The boot that was seen before this one, and the boot epoch of EVerest in which it was seen last. */
  readonly before?: { readonly bootId: string; readonly bootEpoch: number };
  readonly at: number;
  readonly steadyAt: number;
  /** The boot epoch of EVerest that was stored then. */
  readonly bootEpoch: number;
  readonly bootReason?: BootReason;
  readonly version?: string;
  readonly slot?: string;
  readonly installedAt?: number;
  readonly by?: string;
  readonly sha256?: string;
}

const isBootReason = (text: string | undefined): text is BootReason =>
  text !== undefined && BootReasons.enum.some((known) => known === text);

/** What is stored after a look that was begun at `asked`, while EVerest was in this boot epoch. */
export function observedHost(
  previous: ObservedHost | undefined,
  evidence: HostEvidence,
  { bootEpoch, asked }: { readonly bootEpoch: number; readonly asked: Moment },
): ObservedHost {
  const {
    bootId,
    version,
    slot,
    bootReason,
    installedAt,
    runningInstalledBy: by,
    runningImageSha256: sha256,
  } = evidence;
  const isSame = previous?.bootId === bootId;
  const before = isSame ? previous.before : previous && { bootId: previous.bootId, bootEpoch: previous.bootEpoch };
  // The date of a station whose clock was never set, or is broken, says nothing.
  const at = installedAt?.getTime();
  return {
    bootId,
    bootSeenAt: isSame ? previous.bootSeenAt : asked.monotonic,
    ...(before ? { before } : {}),
    at: asked.wall,
    steadyAt: asked.monotonic,
    bootEpoch,
    ...(isBootReason(bootReason) ? { bootReason } : {}),
    ...(version === undefined ? {} : { version }),
    ...(slot === undefined ? {} : { slot }),
    ...(at === undefined || !Number.isFinite(at) ? {} : { installedAt: at }),
    ...(by === undefined ? {} : { by }),
    ...(sha256 === undefined ? {} : { sha256 }),
  };
}

/** What a station runs, as it is told. */
export interface FirmwareView {
  readonly version?: string;
  readonly slot?: string;
  readonly installedAt?: string;
  readonly by?: string;
}

export const firmwareView = ({ version, slot, installedAt, by }: ObservedHost): FirmwareView => ({
  ...(version === undefined ? {} : { version }),
  ...(slot === undefined ? {} : { slot }),
  ...(installedAt === undefined ? {} : { installedAt: rfc3339(installedAt) }),
  ...(by === undefined ? {} : { by }),
});

const firmwareOf = ({ version, slot, by, sha256 }: ObservedHost): string => JSON.stringify([version, slot, by, sha256]);

/** The event of another firmware than before, or of the first that is known; `undefined`: it is the same. */
export const firmwareEvent = (
  station: string,
  previous: ObservedHost | undefined,
  next: ObservedHost,
): StationEvent | undefined =>
  previous && firmwareOf(previous) === firmwareOf(next)
    ? undefined
    : { ...stationEvent(station, 'firmware', next.at), firmware: firmwareView(next) };

/**
 * Whether the host is looked at now: never before, since EVerest's last boot not yet, or too long ago. `everyMs` 0: not by
 * time alone.
 */
export const isDue = (
  observed: Pick<ObservedHost, 'bootEpoch' | 'steadyAt'> | undefined,
  bootEpoch: number,
  monotonicNow: number,
  everyMs: number,
): boolean =>
  observed === undefined ||
  observed.bootEpoch !== bootEpoch ||
  (everyMs > 0 && monotonicNow - observed.steadyAt >= everyMs);

/**
 * Whether the host has booted since EVerest last ran. `lastAlive`: EVerest's last heartbeat of the boot before; `lastEpoch`:
 * that boot. `undefined`: not known.
 */
export function hasHostBooted(
  observed: ObservedHost,
  { lastAlive, lastEpoch }: { readonly lastAlive: number | undefined; readonly lastEpoch: number },
): boolean | undefined {
  if (lastAlive !== undefined && observed.bootSeenAt <= lastAlive) return false;
  return observed.before && observed.before.bootEpoch >= lastEpoch ? true : undefined;
}
