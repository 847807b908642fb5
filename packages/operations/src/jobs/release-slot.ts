/**
 * The last work on an operation that ran out of time while its station was being changed: its slot is kept until the
 * station itself says that this is over, however long it is away.
 */
import { hasCode } from '@khumbu/shared/runtime/errors';
import type { Now } from '../clock/depot-clock.js';
import type { OperationRecord } from '../kinds/kinds.js';
import { without, withoutWait } from '../records/record.js';
import type { StoredWait } from '../records/wait-words.js';
import { putOff } from './job-loop.js';

const LOOK_MS = 10_000;

/**
 * The record as it is to be stored next. `obstacle` asks the station: why the slot has to be kept, as a stable word;
 * `undefined`: it is free. A station that is away is no surprise, it is asked again later.
 */
export async function releaseSlot<R extends OperationRecord>(
  record: R,
  obstacle: () => Promise<StoredWait | undefined>,
  now: Now,
): Promise<R> {
  let waitingFor: StoredWait | undefined;
  try {
    waitingFor = await obstacle();
  } catch (error) {
    if (hasCode(error, 'STATION_BUSY')) waitingFor = 'station_busy';
    else if (hasCode(error, 'STATION_UNREACHABLE')) waitingFor = 'station_unreachable';
    else throw error;
  }
  if (waitingFor !== undefined) return putOff(record, LOOK_MS, waitingFor, now());
  return without(withoutWait(record), 'slotHeld', 'notBefore', 'faults');
}
