/** Set a station's clock to the newest time of the CSMS, if it is off by more than the tolerance and that time is fresh. */
import type { StepContext } from '@khumbu/operations/jobs/job-loop';
import { SYSTEM_TIME_TTL_MS, type SystemTimeRecord } from '@khumbu/operations/kinds/set-system-time/record';
import { type Reason, reasonOfCode } from '@khumbu/operations/records/reasons';
import { ended, inState } from '@khumbu/operations/records/record';
import { type CodedError, hasCode } from '@khumbu/shared/runtime/errors';
import { requireDriver, type StepDeps } from './step-deps.js';

export interface SetSystemTimeDeps extends StepDeps {
  /** Milliseconds since 1970 on the clock of the Redis server, which was also read when the time was received. */
  readonly redisNow: () => Promise<number>;
  readonly toleranceMs: number;
}

type ToldTime = { readonly value: number; readonly ageMs: number };

const isStale = ({ ageMs }: ToldTime): boolean => ageMs < 0 || ageMs > SYSTEM_TIME_TTL_MS;

/** Pure: what to do with a received time that is `ageMs` old, at a station whose clock shows `clockMs`. */
export function judgeTime(
  told: ToldTime,
  clockMs: number,
  toleranceMs: number,
): { readonly kind: 'set'; readonly to: number } | { readonly kind: 'stale' } | { readonly kind: 'close_enough' } {
  if (isStale(told)) return { kind: 'stale' };
  const to = told.value + told.ageMs;
  return Math.abs(clockMs - to) <= toleranceMs ? { kind: 'close_enough' } : { kind: 'set', to };
}

export function createSetSystemTime(deps: SetSystemTimeDeps) {
  const { store, redisNow, toleranceMs, now } = deps;

  /** Resolves with why the clock was not set; `undefined`: it is right. */
  const setClock = async (record: SystemTimeRecord, { signal, log }: StepContext): Promise<Reason | undefined> => {
    const told = async (): Promise<ToldTime> => ({
      value: record.value,
      ageMs: (await redisNow()) - record.toldAtRedisMs,
    });
    // Before anything that can fail: what is tried again has an end.
    if (isStale(await told())) return 'stale';
    try {
      const driver = requireDriver(deps, record.station);
      const clock = await driver.readClock(signal);
      const verdict = judgeTime(await told(), clock.getTime(), toleranceMs);
      if (verdict.kind === 'stale') return 'stale';
      if (verdict.kind === 'close_enough') return undefined;
      await driver.setClock(new Date(verdict.to), signal);
      log.info({ offByMs: clock.getTime() - verdict.to }, 'clock set');
      return undefined;
    } catch (error) {
      // The next heartbeat response of the CSMS carries the time again; there is nothing to retry.
      if (!hasCode(error, 'STATION_UNREACHABLE', 'CLOCK_REFUSED', 'STATION_NOT_CONFIGURED')) throw error;
      return reasonOfCode(error as CodedError);
    }
  };

  return async (record: SystemTimeRecord, context: StepContext): Promise<void> => {
    const reason = await setClock(record, context);
    const done = inState(record, 'Done', now(), reason);
    const outcome = reason === undefined ? { ok: true } : { ok: false, reason };
    await context.commit(store.transaction().put(ended(done, now(), outcome)));
  };
}
