/** Set a station's clock to the newest time that was told, if it is off by more than a little and the time is fresh. */
import type { StepContext } from '@khumbu/operations/jobs/job-loop';
import { ended, inState } from '@khumbu/operations/records/record';
import { SYSTEM_TIME_TTL_MS, type SystemTimeRecord } from '@khumbu/operations/system-time/record';
import { hasCode } from '@khumbu/shared/runtime/errors';
import { requireDriver, type StepDeps } from './step-deps.js';

export interface SetSystemTimeDeps extends StepDeps {
  /** Milliseconds since 1970 on the clock of the Redis server, which was also read when the time was told. */
  readonly redisNow: () => Promise<number>;
  readonly toleranceMs: number;
}

/** Pure: what to do with a told time that is `ageMs` old, at a station whose clock shows `clockMs`. */
export function judgeTime(
  told: { readonly value: number; readonly ageMs: number },
  clockMs: number,
  toleranceMs: number,
): { readonly kind: 'set'; readonly to: number } | { readonly kind: 'stale' } | { readonly kind: 'close_enough' } {
  if (told.ageMs < 0 || told.ageMs > SYSTEM_TIME_TTL_MS) return { kind: 'stale' };
  const to = told.value + told.ageMs;
  return Math.abs(clockMs - to) <= toleranceMs ? { kind: 'close_enough' } : { kind: 'set', to };
}

export function createSetSystemTime(deps: SetSystemTimeDeps) {
  const { store, redisNow, toleranceMs, now } = deps;
  return async (record: SystemTimeRecord, { signal, commit, log }: StepContext): Promise<void> => {
    const driver = requireDriver(deps, record.station);
    let reason: string | undefined;
    try {
      const clock = await driver.readClock(signal);
      const ageMs = (await redisNow()) - record.toldAtRedisMs;
      const verdict = judgeTime({ value: record.value, ageMs }, clock.getTime(), toleranceMs);
      if (verdict.kind === 'set') {
        await driver.setClock(new Date(verdict.to), signal);
        log.info({ offByMs: clock.getTime() - verdict.to }, 'clock set');
      } else if (verdict.kind === 'stale') reason = 'stale';
    } catch (error) {
      // The next heartbeat of the CSMS tells the time again; there is nothing to retry.
      if (!hasCode(error, 'STATION_UNREACHABLE', 'CLOCK_REFUSED')) throw error;
      reason = (error as { code?: string }).code?.toLowerCase() ?? 'failed';
    }
    const done = inState(record, 'Done', now(), reason);
    const outcome = reason === undefined ? { ok: true } : { ok: false, reason };
    await commit(store.change().put(ended(done, now(), outcome)));
  };
}
