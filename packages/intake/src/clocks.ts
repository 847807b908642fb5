/** The time of the CSMS at the intake. */
import { performance } from 'node:perf_hooks';
import { type SystemTimeRecord, systemTimeId, tellSystemTime } from '@khumbu/operations/kinds/set-system-time/record';
import { redisTimeMs } from '@khumbu/operations/records/redis-time';
import { slotField } from '@khumbu/operations/stations/station-state';
import type { Admission } from './admission.js';
import { decideSystemTime } from './decide-system-time.js';
import { type Answer, type Asker, askedBy, type IntakeDeps } from './request.js';

export function createClocks(deps: IntakeDeps, { admit, now }: Admission) {
  const { desk, jobs } = deps;
  const { store } = desk;

  /** `toldAt`: on this process' monotonic clock; `undefined`: too long ago to be worth setting. */
  const toldAtRedis = async (toldAt: number | undefined): Promise<number> =>
    toldAt === undefined ? 0 : (await redisTimeMs(deps.redis)) - (performance.now() - toldAt);

  const told = async (value: number, toldAtRedisMs: number, asker: Asker): Promise<SystemTimeRecord> => {
    const { station, origin } = asker;
    const previous = (await store.load(systemTimeId(station))) as SystemTimeRecord | undefined;
    return { ...tellSystemTime(previous, station, { value, toldAtRedisMs, origin }, now()), ...askedBy(asker) };
  };

  /**
   * Stored only once the answer is out, so that nothing follows from a time that was refused. One whose answer outlived
   * the process is told again with the next heartbeat of the CSMS.
   */
  const note = async (value: number, toldAt: number | undefined, asker: Asker): Promise<void> => {
    const { station } = asker;
    const record = await desk.decide<SystemTimeRecord>(
      async () => {
        const noted = await told(value, await toldAtRedis(toldAt), asker);
        const transaction = store
          .transaction()
          .put(noted)
          .setStation(station, { [slotField('set_system_time')]: noted.id });
        return { transaction, result: noted };
      },
      // The caller notes it again until it is stored; noted twice, it is set once more or stale.
      async () => undefined,
    );
    await jobs.ensure(record);
  };

  /** A request that is repeated finds its operation, also if there was no time to note it. */
  const noteLost = async (value: number, asker: Asker): Promise<void> => {
    if (!(await store.load(systemTimeId(asker.station)))) await note(value, undefined, asker);
  };

  /** `isLate`: nobody knows how long it was on its way. It is answered as any other, and nothing is set by it. */
  const setSystemTime = async (text: string, asker: Asker, isLate = false): Promise<Answer> => {
    const toldAt = performance.now();
    const value = decideSystemTime(text);
    const isOverRest = asker.origin === 'rest';
    const answer = await admit('set_system_time', asker, async ({ profile }) => {
      if (!profile) return { kind: 'answer', reply: false, reason: 'station_not_configured' };
      if (value === undefined) return { kind: 'answer', reply: false, reason: 'time_absurd' };
      if (!isOverRest) return { kind: 'answer', reply: true };
      const record = await told(value, 0, asker);
      return { kind: 'answer', reply: true, operationId: record.id, record };
    });
    if (value === undefined || answer.reply !== true || isLate) return answer;
    if (!answer.repeated) return { ...answer, afterReply: () => note(value, toldAt, asker) };
    return isOverRest ? { ...answer, afterReply: () => noteLost(value, asker) } : answer;
  };

  return { setSystemTime };
}
