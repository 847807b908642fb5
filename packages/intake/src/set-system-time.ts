/** `set_system_time`: the answer, and the time that is stored once the answer is out. */
import type { OperationRecord } from '@khumbu/operations/kinds/kinds';
import { type SystemTimeRecord, systemTimeId, tellSystemTime } from '@khumbu/operations/kinds/set-system-time/record';
import { storedOf } from '@khumbu/operations/kinds/store';
import { slotField } from '@khumbu/operations/records/keys';
import { redisTimeMs } from '@khumbu/operations/records/redis-time';
import { decideSystemTime } from './decide-system-time.js';
import type { Answer, Decision, FollowUp } from './decision.js';
import type { Parts } from './intake-deps.js';
import { askedBy, type Requester } from './requester.js';
import type { Situation } from './situation.js';

type NoteTime = Extract<FollowUp, { readonly kind: 'set_time' }>;

interface TimeSituation extends Situation {
  /** The record of the station's clock. */
  readonly previous: SystemTimeRecord | undefined;
}

export function createSetSystemTime({ accept, read, readDecideCommit, store, redis, jobs, now }: Parts) {
  const readPrevious = (station: string): Promise<SystemTimeRecord | undefined> =>
    read.load(systemTimeId(station), 'set_system_time');

  const recordOf = (
    previous: SystemTimeRecord | undefined,
    requester: Requester,
    value: number,
    toldAtRedisMs: number,
  ): SystemTimeRecord => {
    const { station, origin } = requester;
    return { ...tellSystemTime(previous, station, { value, toldAtRedisMs, origin }, now()), ...askedBy(requester) };
  };

  const decide = (value: number | undefined, { requester, profile, previous }: TimeSituation): Decision => {
    if (!profile) return { kind: 'answer', reply: false, reason: 'station_not_configured' };
    if (value === undefined) return { kind: 'answer', reply: false, reason: 'time_absurd' };
    if (requester.origin === 'everest') return { kind: 'answer', reply: true };
    const record = recordOf(previous, requester, value, 0);
    return { kind: 'answer', reply: true, operationId: record.id, record };
  };

  /** `isLate`: it is not known how long it was on its way. It is answered as any other, and nothing is set by it. */
  const setSystemTime = async (text: string, requester: Requester, isLate = false): Promise<Answer> => {
    const receivedAt = performance.now();
    const value = decideSystemTime(text);
    const isOverRest = requester.origin === 'rest';
    const { followUp: _none, ...answer } = await accept({
      channel: 'set_system_time',
      requester,
      async read(): Promise<TimeSituation> {
        const situation = await read.request(requester);
        return { ...situation, previous: isOverRest ? await readPrevious(requester.station) : undefined };
      },
      decide: (situation) => decide(value, situation),
    });
    const isOver = value === undefined || answer.reply !== true || isLate || (answer.repeated && !isOverRest);
    if (isOver) return answer;
    const since = answer.repeated ? undefined : receivedAt;
    return { ...answer, followUp: { kind: 'set_time', requester, value, receivedAt: since } };
  };

  /**
   * The time is stored only once the answer is out, so that nothing follows from a time that was refused. If this
   * process ends in between, the next heartbeat of the CSMS brings a new one; a request over REST that is repeated finds
   * its operation, with a time that is too old to be set.
   */
  const noteTime = async ({ requester, value, receivedAt }: NoteTime): Promise<void> => {
    const { station } = requester;
    if (receivedAt === undefined && (await readPrevious(station))) return;
    const record = await readDecideCommit({
      read: async () => ({
        previous: await readPrevious(station),
        toldAtRedisMs: receivedAt === undefined ? 0 : (await redisTimeMs(redis)) - (performance.now() - receivedAt),
      }),
      decide({ previous, toldAtRedisMs }) {
        const next = recordOf(previous, requester, value, toldAtRedisMs);
        const fields = { [slotField('set_system_time')]: next.id };
        // Without undo: the caller notes it again until it is stored; noted twice, it is set once more or stale.
        const transaction = store.transaction().put(next).setStation(station, fields);
        return { result: next, transaction, onStored: (stored: readonly OperationRecord[]) => storedOf(stored, next) };
      },
    });
    await jobs.ensure(record);
  };

  return { setSystemTime, noteTime };
}
