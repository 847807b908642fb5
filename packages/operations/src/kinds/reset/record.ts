import type { ResetType } from '@khumbu/shared/contract/schemas';
import type { Moment } from '../../clock/depot-clock.js';
import { type Reason, reasonOfEvent } from '../../records/reasons.js';
import { ended, inState, type RecordBase } from '../../records/record.js';

/**
 * `Accepted`: to be done, as soon as nothing is being installed. `Resetting`: the station is about to be or is being
 * reset. `Restarting`: it was, and EVerest has not been heard again yet.
 */
export type ResetState = 'Accepted' | 'Resetting' | 'Restarting' | 'Restarted' | 'Failed' | 'Superseded';
export type ResetEvent = 'begun' | 'performed' | 'restartSeen' | 'failed' | 'superseded' | 'outOfTime';

export interface ResetRecord extends RecordBase<'reset', ResetState> {
  /** The boot reason was stored together with the request, so that the boot to come finds it. */
  readonly reasonStored?: boolean;
  readonly type: ResetType;
  readonly scheduled: boolean;
  /** The station's boot epoch when the reset was asked for, and from its begin on the one it is to end. */
  readonly bootEpochBefore: number;
  /**
   * The answer key of the one request of REST that is behind it: told that nothing was accepted, the reset is revoked.
   * Absent where EVerest asked, and as soon as anybody else counts on it.
   */
  readonly takeBackFor?: string;
}

type Row = Partial<Record<ResetEvent, ResetState>>;
export const RESET_TRANSITIONS = {
  Accepted: { begun: 'Resetting', superseded: 'Superseded', failed: 'Failed', outOfTime: 'Failed' },
  Resetting: { performed: 'Restarting', restartSeen: 'Restarted', failed: 'Failed', outOfTime: 'Failed' },
  // The station itself has testified that it was restarted; EVerest not being heard is not a failed reset.
  Restarting: { restartSeen: 'Restarted', superseded: 'Restarted', outOfTime: 'Restarted' },
  Restarted: {},
  Failed: {},
  Superseded: {},
} as const satisfies Record<ResetState, Row>;

/** In milliseconds: until it must have been performed, and how long EVerest is waited for afterwards. */
export const RESET_DEADLINES = { performMs: 3 * 3600_000, restartMs: 120_000 } as const;

/** One event on one reset. Pure. Throws for an event out of place. */
export function applyResetEvent(
  before: ResetRecord,
  event: ResetEvent,
  { now }: { readonly now: Moment },
  detail: { reason?: Reason; message?: string; set?: Partial<ResetRecord> } = {},
): ResetRecord {
  const state = (RESET_TRANSITIONS[before.state] as Row)[event];
  if (!state) throw new TypeError(`a reset in ${before.state} knows no ${event}`);
  const record: ResetRecord = { ...inState(before, state, now, detail.reason), ...detail.set };
  if (Object.keys(RESET_TRANSITIONS[state]).length > 0) {
    return {
      ...record,
      deadlineAt: now.monotonic + (state === 'Restarting' ? RESET_DEADLINES.restartMs : RESET_DEADLINES.performMs),
    };
  }
  if (state === 'Restarted') {
    // Seen by the driver alone: true, but worth telling.
    const unheard = event === 'outOfTime' ? { reason: 'everest_not_heard' as const } : {};
    return ended(record, now, { ok: true, ...unheard });
  }
  const message = detail.message === undefined ? {} : { message: detail.message };
  const reason = detail.reason ?? reasonOfEvent(event);
  const held = event === 'outOfTime' && before.state === 'Resetting' ? { slotHeld: true } : {};
  return ended({ ...record, ...held }, now, { ok: false, reason, ...message });
}
