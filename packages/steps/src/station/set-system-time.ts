/** Put a station's clock right by the newest time of the CSMS, if it is off by more than the tolerance and that time is fresh. */
import type { StepContext } from '@khumbu/operations/jobs/job-loop';
import type { ClockCorrection, SystemTimeRecord } from '@khumbu/operations/kinds/set-system-time/record';
import { type Reason, reasonOfCode } from '@khumbu/operations/records/reasons';
import { ended, inState } from '@khumbu/operations/records/record';
import { readStation } from '@khumbu/operations/stations/station-state';
import { hasCode } from '@khumbu/shared/runtime/errors';
import { requireProfile } from '@khumbu/shared/stations/stations-file';
import type { StationDriver } from '@khumbu/station-drivers/port';
import { isDriverFault } from '../driver-faults.js';
import { type ClockSituation, decideCorrection, isStale, judgeTime, type ToldTime } from './decide-clock.js';
import type { StepDeps } from './step-deps.js';

export interface SetSystemTimeDeps extends StepDeps {
  /** Milliseconds since 1970 on the clock of the Redis server, which was also read when the time was received. */
  readonly redisNow: () => Promise<number>;
  readonly toleranceMs: number;
}

/** Why it was left alone, or what was done; neither: it is right. */
interface Treatment {
  readonly reason?: Reason;
  readonly correction?: ClockCorrection;
}

async function correct(
  driver: StationDriver,
  { signal, log }: Pick<StepContext, 'signal' | 'log'>,
  situation: ClockSituation,
): Promise<Treatment> {
  const offByMs = situation.clockMs - situation.to;
  const correction = decideCorrection(situation);
  if (correction.kind === 'leave') {
    log.warn({ offByMs, reason: correction.reason }, 'clock left alone');
    return { reason: correction.reason };
  }
  if (correction.kind === 'step') {
    await driver.setClock(new Date(correction.to), signal);
    log.info({ offByMs }, 'clock set');
    return { correction: { kind: 'step', offByMs } };
  }
  try {
    await driver.slewClock?.(correction.byMs, signal);
  } catch (error) {
    if (!hasCode(error, 'NOT_SUPPORTED')) throw error;
    return correct(driver, { signal, log }, { ...situation, canSlew: false });
  }
  log.info({ offByMs }, 'clock slewed');
  return { correction: { kind: 'slew', offByMs } };
}

export function createSetSystemTime(deps: SetSystemTimeDeps) {
  const { store, redisNow, toleranceMs, now } = deps;

  const setClock = async (record: SystemTimeRecord, context: StepContext): Promise<Treatment> => {
    const { signal } = context;
    const told = async (): Promise<ToldTime> => ({
      value: record.value,
      ageMs: (await redisNow()) - record.toldAtRedisMs,
    });
    // Before anything that can fail: what is tried again has an end.
    if (isStale(await told())) return { reason: 'stale' };
    try {
      const profile = requireProfile(deps.directory.profileOf(record.station));
      const driver = deps.driverOf(profile);
      const clockMs = (await driver.readClock(signal)).getTime();
      const { transactions = [] } = await readStation(store, record.station);
      const verdict = judgeTime(await told(), clockMs, toleranceMs);
      if (verdict.kind === 'stale') return { reason: 'stale' };
      if (verdict.kind === 'close_enough') return {};
      return await correct(driver, context, {
        clockMs,
        to: verdict.to,
        policy: profile.clock,
        byPerson: record.origin === 'rest',
        transactionRuns: transactions.length > 0,
        canSlew: driver.slewClock !== undefined,
      });
    } catch (error) {
      // The next heartbeat response of the CSMS carries the time again; there is nothing to retry.
      if (!isDriverFault(error)) throw error;
      return { reason: reasonOfCode(error) };
    }
  };

  return async (record: SystemTimeRecord, context: StepContext): Promise<void> => {
    const { reason, correction } = await setClock(record, context);
    const done = { ...inState(record, 'Done', now(), reason), ...(correction ? { correction } : {}) };
    const outcome = reason === undefined ? { ok: true } : { ok: false, reason };
    await context.commit(store.transaction().put(ended(done, now(), outcome)));
  };
}
