/** The time of the CSMS at the front desk. */
import { redisTimeMs } from '@khumbu/operations/records/redis-time';
import { slotField } from '@khumbu/operations/stations/station-state';
import { type SystemTimeRecord, tellSystemTime } from '@khumbu/operations/system-time/record';
import type { Admission } from './admission.js';
import { decideSystemTime } from './decide-system-time.js';
import { abandonedQueue } from './needed-workers.js';
import { type Answer, type Asker, askedBy, type FrontDeskDeps } from './request.js';

export function createClocks(deps: FrontDeskDeps, { admit, capture, inSlot, takeBack, now }: Admission) {
  const { desk, jobs } = deps;
  const { store } = desk;

  const setSystemTime = async (text: string, asker: Asker): Promise<Answer> => {
    const value = decideSystemTime(text);
    const isRefused = abandonedQueue('set_system_time', deps.isAbandoned) !== undefined;
    if (value === undefined || isRefused || !deps.profileOf(asker.station)) {
      return admit('set_system_time', asker, async ({ profile }) => ({
        kind: 'answer',
        reply: false,
        reason: profile ? 'time_absurd' : 'station_not_configured',
      }));
    }
    let told: SystemTimeRecord | undefined;
    const answer = await desk.decide<Answer>(
      async () => {
        const { state, answer: stored } = await capture(asker);
        told = undefined;
        if (stored) {
          const { reply, operationId } = stored;
          return { change: undefined, result: { reply, ...(operationId === undefined ? {} : { operationId }) } };
        }
        const previous = await inSlot<SystemTimeRecord>(state, 'set_system_time');
        const toldAtRedisMs = await redisTimeMs(deps.redis);
        const time = { value, toldAtRedisMs, origin: asker.origin };
        const record = tellSystemTime(previous, asker.station, time, now());
        told = { ...record, ...askedBy(asker), answerKey: asker.answerKey };
        const change = store
          .change()
          .put(told)
          .setStation(asker.station, { [slotField('set_system_time')]: told.id })
          .answer(asker.station, asker.answerKey, { reply: true, operationId: told.id }, asker.answerTtlMs);
        return { change, result: { reply: true, operationId: told.id } };
      },
      () => takeBack(asker, 'set_system_time', told?.id),
    );
    const record = told;
    return record ? { ...answer, afterReply: () => jobs.ensure(record) } : answer;
  };

  return { setSystemTime };
}
