/** An update whose download stops for a while. Pure. */
import type { Moment } from '../../clock/depot-clock.js';
import type { Reason } from '../../records/reasons.js';
import { inState, without } from '../../records/record.js';
import { readStoredWait } from '../../records/wait-words.js';
import { isPause } from '../../wan/gate.js';
import type { FirmwareUpdateRecord } from './record.js';

/** Its download was paused, or kept from beginning. */
export const isPaused = (record: FirmwareUpdateRecord): boolean =>
  record.downloadPaused === true || isPause(readStoredWait(record.waitingFor)?.for);

/**
 * It keeps the state, and its history says what is told. It has a fetch no more, so that the fetch can go on for others
 * and this update joins it again.
 */
export function pauseDownload(
  before: FirmwareUpdateRecord,
  now: Moment,
  { set, reason }: { readonly set?: Partial<FirmwareUpdateRecord>; readonly reason?: Reason },
): FirmwareUpdateRecord {
  const { fetch: _fetch, ...rest } = before;
  const open = inState(rest, before.state, now, reason);
  const told = { at: now.wall, state: 'DownloadPaused', ...(reason === undefined ? {} : { reason }) };
  return { ...open, history: [...open.history.slice(0, -1), told], ...set, downloadPaused: true };
}

/** It goes on, and has the time again that a download has. */
export function unpaused(record: FirmwareUpdateRecord): FirmwareUpdateRecord {
  const { downloadPaused: _paused, ...rest } = record;
  return without(rest, 'deadlineAt');
}
