/** What an update becomes that may not be fetched now, and one that an operator pauses or lets go on. Pure. */
import type { Moment } from '../../clock/depot-clock.js';
import { without, withoutWait } from '../../records/record.js';
import { waitingSince } from '../../records/wait-words.js';
import { type Delay, type Hold, isPause, type Pause } from '../../wan/gate.js';
import type { Applied } from '../kind-definition.js';
import { type ByOperator, type FirmwareUpdateRecord, isBeforeDownloaded, retrieveAt } from './record.js';
import { applyUpdateEvent, type TransitionContext, UPDATE_DEADLINES } from './transition.js';

/** How soon a wait without a known end is looked at, should no notification come. */
const LOOK_MS = 3600_000;

/** What EVerest hears: the first time that it is kept from beginning, or that it stops. */
function announce(
  before: FirmwareUpdateRecord,
  word: Pause | Delay,
  context: TransitionContext,
): Applied<FirmwareUpdateRecord> {
  const silent = { record: before, statuses: [] };
  if (!isPause(word)) return silent;
  const detail = { reason: word };
  if (before.state === 'Accepted') return applyUpdateEvent(before, 'retrieveLater', context, detail);
  const stops = before.state === 'Downloading' && !before.downloadPaused;
  return stops ? applyUpdateEvent(before, 'downloadPaused', context, detail) : silent;
}

/** When it may begin at the earliest by the date that was asked for; monotonic. */
const dueAt = (record: FirmwareUpdateRecord, { wall, monotonic }: Moment): number =>
  monotonic + Math.max(0, (retrieveAt(record) ?? 0) - wall);

/** A day from when it can be fetched, or a month where it is not known when that is. Short delays change nothing. */
function deadlineOf(record: FirmwareUpdateRecord, hold: Hold, now: Moment): { readonly deadlineAt?: number } {
  if (!isPause(hold.for)) return record.deadlineAt === undefined ? {} : { deadlineAt: record.deadlineAt };
  const { downloadMs, pauseMs } = UPDATE_DEADLINES;
  return { deadlineAt: hold.until === undefined ? dueAt(record, now) + pauseMs : hold.until + downloadMs };
}

/**
 * The update as something keeps it from being fetched: it waits for that, and asks again when it is over. Its time does not
 * run meanwhile. It must not be part of a fetch, or leaves it.
 */
export function holdDownload(
  before: FirmwareUpdateRecord,
  hold: Hold,
  context: TransitionContext,
): Applied<FirmwareUpdateRecord> {
  const { now } = context;
  const { record, statuses } = announce(before, hold.for, context);
  const { fetch: _fetch, ...rest } = record;
  const held: FirmwareUpdateRecord = {
    ...without(rest, 'waitingUntil'),
    ...deadlineOf(record, hold, now),
    notBefore: hold.until ?? now.monotonic + LOOK_MS,
    waitingFor: hold.for,
    waitingSince: waitingSince(before, hold.for, now),
    run: record.run + 1,
    updatedAt: now.wall,
  };
  return { record: held, statuses };
}

/** Whatever keeps it: it asks again now. What it waits for, and since when, stays until it is found to be over. */
export const askAgain = (record: FirmwareUpdateRecord, now: Moment): FirmwareUpdateRecord => ({
  ...without(record, 'notBefore'),
  run: record.run + 1,
  updatedAt: now.wall,
});

/** An operator pauses it. `undefined`: its image is here, or it has ended. Safe to repeat: the first one counts. */
export function pauseByOperator(
  before: FirmwareUpdateRecord,
  by: string | undefined,
  context: TransitionContext,
): Applied<FirmwareUpdateRecord> | undefined {
  if (!isBeforeDownloaded(before)) return undefined;
  if (before.pausedByOperator) return { record: before, statuses: [] };
  const held = holdDownload(before, { for: 'operator_pause' }, context);
  return { ...held, record: { ...held.record, pausedByOperator: byOperator(by, context.now) } };
}

const byOperator = (by: string | undefined, now: Moment): ByOperator => ({
  at: now.wall,
  ...(by === undefined ? {} : { by }),
});

const goingOn = (record: FirmwareUpdateRecord, now: Moment): FirmwareUpdateRecord => ({
  ...askAgain(withoutWait(record), now),
  deadlineAt: dueAt(record, now) + UPDATE_DEADLINES.downloadMs,
});

/** An operator lets it go on. `undefined`: as for `pauseByOperator`. Safe to repeat. */
export function resumeByOperator(before: FirmwareUpdateRecord, now: Moment): FirmwareUpdateRecord | undefined {
  if (!isBeforeDownloaded(before)) return undefined;
  const { pausedByOperator, ...rest } = before;
  return pausedByOperator ? goingOn(rest, now) : before;
}

/** As `resumeByOperator`, and neither the window nor a budget keeps it from now on. */
export function downloadNow(
  before: FirmwareUpdateRecord,
  by: string | undefined,
  now: Moment,
): FirmwareUpdateRecord | undefined {
  if (!isBeforeDownloaded(before)) return undefined;
  const { pausedByOperator: _paused, ...rest } = before;
  if (before.downloadNow && !before.pausedByOperator) return before;
  const allowed = { ...rest, downloadNow: before.downloadNow ?? byOperator(by, now) };
  // One that is being fetched just goes on, and one that is to come later comes at its time.
  return before.fetch ? { ...allowed, updatedAt: now.wall } : goingOn(allowed, now);
}
