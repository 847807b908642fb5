/**
 * What becomes of a record whose state has lasted too long. Every state that is not final has a deadline, and every
 * deadline has an end that is true. Pure.
 */

import type { StationDirectory } from '@khumbu/shared/stations/stations-file';
import type { Moment } from '../clock/depot-clock.js';
import type { OutboxEntry } from '../outbox/entry.js';
import { dialectOf, type StationState } from '../stations/station-state.js';
import { applyNetworkEvent, DEFAULT_NETWORK_DEADLINES } from './configure-network/record.js';
import { awaitedDate } from './firmware-update/record.js';
import { applyUpdateEvent, DEFAULT_UPDATE_DEADLINES } from './firmware-update/transition.js';
import type { OperationRecord } from './kinds.js';
import { applyLogEvent, DEFAULT_LOG_DEADLINES } from './log-upload/record.js';
import { applyResetEvent, DEFAULT_RESET_DEADLINES } from './reset/record.js';

/** The limits a process works with; tests and small depots may shorten them. */
export const DEFAULT_DEADLINES = {
  update: DEFAULT_UPDATE_DEADLINES,
  log: DEFAULT_LOG_DEADLINES,
  reset: DEFAULT_RESET_DEADLINES,
  network: DEFAULT_NETWORK_DEADLINES,
} as const;
export type Deadlines = typeof DEFAULT_DEADLINES;

/** Not while it waits for a date that was asked for, however far the clock has been set back since. */
export const isOverdue = (record: OperationRecord, now: Moment): boolean =>
  record.endedAt === undefined &&
  record.deadlineAt !== undefined &&
  record.deadlineAt <= now.monotonic &&
  !(record.kind === 'firmware_update' && (awaitedDate(record) ?? 0) > now.wall);

/** The record ended by its deadline and what EVerest hears of it. */
export function expire(
  record: OperationRecord,
  state: StationState,
  directory: Pick<StationDirectory, 'profileOf'>,
  deadlines: Deadlines,
  now: Moment,
): { record: OperationRecord; statuses: readonly OutboxEntry[] } | undefined {
  const dialect = dialectOf(directory.profileOf(record.station), state);
  switch (record.kind) {
    case 'firmware_update':
      return applyUpdateEvent(
        record,
        'outOfTime',
        { now, dialect, bootEpoch: state.bootEpoch, deadlines: deadlines.update },
        record.waitingFor === undefined ? {} : { reason: `deadline_${record.waitingFor.split(':')[0] ?? ''}` },
      );
    case 'log_upload':
      return applyLogEvent(record, 'outOfTime', { now, dialect, deadlines: deadlines.log });
    case 'reset':
      return { record: applyResetEvent(record, 'outOfTime', { now, deadlines: deadlines.reset }), statuses: [] };
    case 'configure_network':
      return applyNetworkEvent(record, 'outOfTime', { now, deadlines: deadlines.network });
    case 'set_system_time':
    case 'firmware_fetch':
      return undefined;
  }
}
