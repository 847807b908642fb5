import type { Moment } from '../../clock/depot-clock.js';
import { inState, newRecordBase, type Origin, type RecordBase } from '../../records/record.js';

export type SystemTimeState = 'Pending' | 'Done';

/**
 * A station has one record for its clock, used again for each request: EVerest tells the time with every heartbeat of
 * its CSMS, and only the newest is of interest.
 */
export interface SystemTimeRecord extends RecordBase<'set_system_time', SystemTimeState> {
  /** The time that was told, milliseconds since 1970. */
  readonly value: number;
  /** When it was told, on the clock of the Redis server, which all processes share. */
  readonly toldAtRedisMs: number;
  /** What was done to the clock, which was ahead by so much; absent: nothing. */
  readonly correction?: ClockCorrection;
}

export interface ClockCorrection {
  readonly kind: 'step' | 'slew';
  readonly offByMs: number;
}

/** A told time is worth nothing after this long. */
export const SYSTEM_TIME_TTL_MS = 2000;

export const systemTimeId = (station: string): string => `set-system-time-${Buffer.from(station).toString('hex')}`;

/** A newer time in place of the older one. Its answer is out: what is stored is to be set. */
export function tellSystemTime(
  previous: SystemTimeRecord | undefined,
  station: string,
  told: { readonly value: number; readonly toldAtRedisMs: number; readonly origin: Origin },
  now: Moment,
): SystemTimeRecord {
  const id = systemTimeId(station);
  const options = { station, origin: told.origin, requestId: -1, now, id };
  const base: Partial<SystemTimeRecord> & RecordBase<'set_system_time', SystemTimeState> =
    previous ?? newRecordBase('set_system_time', 'Pending', options);
  const {
    endedAt: _endedAt,
    endTold: _endTold,
    outcome: _outcome,
    askedBy: _askedBy,
    correction: _done,
    ...open
  } = base;
  return {
    ...inState({ ...open, history: open.history.slice(-4) }, 'Pending', now),
    value: told.value,
    toldAtRedisMs: told.toldAtRedisMs,
    origin: told.origin,
    run: base.run + 1,
  };
}
