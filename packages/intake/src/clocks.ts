/** The time of the CSMS at the intake. */
import { performance } from 'node:perf_hooks';
import { type SystemTimeRecord, systemTimeId, tellSystemTime } from '@khumbu/operations/kinds/set-system-time/record';
import { redisTimeMs } from '@khumbu/operations/records/redis-time';
import { slotField } from '@khumbu/operations/stations/station-state';
import type { Admission } from './admission.js';
import { decideSystemTime } from './decide-system-time.js';
import { type Answer, askedBy, type FollowUp, type IntakeDeps, type Requester } from './requester.js';

export function createClocks(deps: IntakeDeps, { admit, now }: Admission) {
  const { desk, jobs } = deps;
  const { store } = desk;

  /** `toldAt`: on this process' monotonic clock; `undefined`: too long ago to be worth setting. */
  const toldAtRedis = async (toldAt: number | undefined): Promise<number> =>
    toldAt === undefined ? 0 : (await redisTimeMs(deps.redis)) - (performance.now() - toldAt);

  const told = async (value: number, toldAtRedisMs: number, requester: Requester): Promise<SystemTimeRecord> => {
    const { station, origin } = requester;
    const previous = (await store.load(systemTimeId(station))) as SystemTimeRecord | undefined;
    return { ...tellSystemTime(previous, station, { value, toldAtRedisMs, origin }, now()), ...askedBy(requester) };
  };

  /**
   * Stored only once the answer is out, so that nothing follows from a time that was refused. One whose answer outlived
   * the process is told again with the next heartbeat of the CSMS.
   */
  const note = async (value: number, toldAt: number | undefined, requester: Requester): Promise<void> => {
    const { station } = requester;
    const record = await desk.decide<SystemTimeRecord>(
      async () => {
        const noted = await told(value, await toldAtRedis(toldAt), requester);
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
  const noteTime = async ({ requester, value, receivedAt }: FollowUp & { kind: 'set_time' }): Promise<void> => {
    if (receivedAt !== undefined || !(await store.load(systemTimeId(requester.station))))
      await note(value, receivedAt, requester);
  };

  /** `isLate`: nobody knows how long it was on its way. It is answered as any other, and nothing is set by it. */
  const setSystemTime = async (text: string, requester: Requester, isLate = false): Promise<Answer> => {
    const toldAt = performance.now();
    const value = decideSystemTime(text);
    const isOverRest = requester.origin === 'rest';
    const answer = await admit('set_system_time', requester, async ({ profile }) => {
      if (!profile) return { kind: 'answer', reply: false, reason: 'station_not_configured' };
      if (value === undefined) return { kind: 'answer', reply: false, reason: 'time_absurd' };
      if (!isOverRest) return { kind: 'answer', reply: true };
      const record = await told(value, 0, requester);
      return { kind: 'answer', reply: true, operationId: record.id, record };
    });
    if (value === undefined || answer.reply !== true || isLate) return answer;
    if (answer.repeated && !isOverRest) return answer;
    const receivedAt = answer.repeated ? undefined : toldAt;
    return { ...answer, followUp: { kind: 'set_time', requester, value, receivedAt } };
  };

  return { setSystemTime, noteTime };
}
