import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { applyResetEvent, type ResetRecord } from '@khumbu/operations/kinds/reset/record';
import { newRecordBase } from '@khumbu/operations/records/record';
import { CodedError } from '@khumbu/shared/runtime/errors';
import { createReset } from '@khumbu/steps/station/reset';
import { openRedis } from '@khumbu/test-support/redis';
import t from 'tap';
import { openStage, STATION } from './steps-stage.js';

const { redis } = await openRedis(t, t.testdir());

void t.test('a reset that ran out of time keeps its slot while the station is away, without a word', async (t) => {
  let isAway = true;
  const { lines, put, work } = openStage({
    redis,
    driver: {
      retire: async () => {
        if (isAway) throw new CodedError('STATION_UNREACHABLE', 'nobody there');
      },
    },
    steps: (deps) => {
      const reset = createReset(deps);
      return { reset };
    },
  });
  const at = momentOf(Date.now());
  const begun: ResetRecord = {
    ...newRecordBase('reset', 'Resetting', { station: STATION, origin: 'everest', requestId: -1, now: at }),
    type: 'Hard',
    scheduled: false,
    bootEpochBefore: 1,
  };
  let reset = await put(applyResetEvent(begun, 'outOfTime', { now: at }));
  let askedAt = 0;
  for (let tries = 0; tries < 3; tries++) {
    askedAt = Date.now();
    reset = await work(reset);
  }
  t.match(reset, { slotHeld: true, waitingFor: 'station_unreachable', run: 4, faults: undefined });
  t.ok((reset.notBefore ?? 0) > askedAt + 1000);
  t.same(lines, [], 'it is no surprise');
  isAway = false;
  reset = await work(reset);
  t.match(reset, { state: 'Failed', slotHeld: undefined, waitingFor: undefined, outcome: { reason: 'deadline' } });
});

void t.test('a reset that begins ends what was reserved for another one', async (t) => {
  const { store, put, work } = openStage({
    redis,
    driver: {
      start: async () => undefined,
      observeEffect: async () => ({ state: 'succeeded', rebootNeeded: false }),
    },
    steps: (deps) => {
      const reset = createReset(deps);
      return { reset };
    },
  });
  const reserved = { resetReservedUntil: String(Date.now() + 300_000), resetReservedBy: 'k', resetAllowedEpoch: '0' };
  await store.commit(store.transaction().setStation(STATION, reserved));
  const asked = { station: STATION, origin: 'rest', requestId: -1, now: momentOf(Date.now()) } as const;
  const reset: ResetRecord = {
    ...newRecordBase<'reset', 'Accepted'>('reset', 'Accepted', asked),
    type: 'Soft',
    scheduled: false,
    bootEpochBefore: 0,
    reasonStored: true,
  };
  t.match(await work(await put(reset)), { state: 'Restarting' });
  const { resetReservedUntil, resetReservedBy, resetAllowedEpoch } = await store.station(STATION);
  t.same([resetReservedUntil, resetReservedBy, resetAllowedEpoch], [undefined, undefined, undefined]);
});
