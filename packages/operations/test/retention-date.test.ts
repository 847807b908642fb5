import type { Moment } from '@khumbu/operations/clock/depot-clock';
import { type Belief, believe, createRetentionDate } from '@khumbu/operations/clock/retention-date';
import { keysFor } from '@khumbu/operations/records/keys';
import t from 'tap';
import { newPrefix, redis } from './store-stage.js';

const HOUR = 3600_000;
const DAY = 24 * HOUR;
const START = 1_800_000_000_000;

void t.test('a date that runs ahead is believed after a day', (t) => {
  const at = (hours: number, aheadMs: number): Moment => ({
    monotonic: START + hours * HOUR,
    wall: START + hours * HOUR + aheadMs,
  });
  const doubted = (ahead: number, hours: number) => ({ ahead, since: START + hours * HOUR });
  const cases: [string, Belief | undefined, Moment, Belief][] = [
    ['a depot that begins', undefined, at(0, 0), { ahead: 0 }],
    ['a correction', { ahead: 0 }, at(1, 5000), { ahead: 5000 }],
    ['a year ahead', { ahead: 5000 }, at(1, 365 * DAY), { ahead: 5000, doubted: doubted(365 * DAY, 1) }],
    [
      'for hours',
      { ahead: 0, doubted: doubted(365 * DAY, 1) },
      at(24.9, 365 * DAY + 100),
      { ahead: 0, doubted: doubted(365 * DAY + 100, 1) },
    ],
    ['and right again', { ahead: 0, doubted: doubted(365 * DAY, 1) }, at(2, 0), { ahead: 0 }],
    ['for a day', { ahead: 0, doubted: doubted(9 * DAY, 1) }, at(25, 9 * DAY), { ahead: 9 * DAY }],
    [
      'further ahead meanwhile: what was doubted stands',
      { ahead: 0, doubted: doubted(9 * DAY, 1) },
      at(24, 30 * DAY),
      { ahead: 0, doubted: doubted(9 * DAY, 1) },
    ],
    [
      'further ahead after a day: what is beyond it is doubted from then on',
      { ahead: 0, doubted: doubted(9 * DAY, 1) },
      at(25, 30 * DAY),
      { ahead: 9 * DAY, doubted: doubted(30 * DAY, 25) },
    ],
    [
      'less far ahead: doubted anew',
      { ahead: 0, doubted: doubted(30 * DAY, 1) },
      at(24, 9 * DAY),
      { ahead: 0, doubted: doubted(9 * DAY, 24) },
    ],
    ['back', { ahead: 9 * DAY }, at(30, 0), { ahead: 0 }],
  ];
  for (const [what, before, moment, wanted] of cases) t.same(believe(before, moment), wanted, what);
  t.end();
});

void t.test('a depot that is off for eight hours each night is never more than two days behind', (t) => {
  let belief: Belief | undefined;
  let most = 0;
  for (let day = 0; day < 100; day += 1)
    for (let hour = 0; hour < 16; hour += 1) {
      const moment = { monotonic: START + (day * 16 + hour) * HOUR, wall: START + (day * 24 + hour) * HOUR };
      belief = believe(belief, moment);
      most = Math.max(most, moment.wall - moment.monotonic - belief.ahead);
    }
  t.ok(most <= 2 * DAY, `${most / HOUR} hours`);
  t.end();
});

void t.test('a jump of a year for less than a day removes nothing, also in a depot that is off each night', (t) => {
  let belief: Belief | undefined;
  for (let day = 0; day < 10; day += 1)
    for (let hour = 0; hour < 16; hour += 1) {
      const isWrong = day === 5 || (day === 6 && hour < 7);
      const wall = START + (day * 24 + hour) * HOUR;
      belief = believe(belief, {
        monotonic: START + (day * 16 + hour) * HOUR,
        wall: wall + (isWrong ? 365 * DAY : 0),
      });
      t.ok(START + (day * 16 + hour) * HOUR + belief.ahead <= wall);
    }
  t.end();
});

void t.test('what one process has seen, the others know', async (t) => {
  const keys = keysFor(newPrefix());
  let moment: Moment = { wall: START, monotonic: START };
  const [mine, theirs] = [1, 2].map(() => createRetentionDate(redis, keys.retentionDate, () => moment));
  if (!mine || !theirs) throw new Error('two processes');
  t.equal(await mine(), START);
  moment = { wall: START + 365 * DAY, monotonic: START + HOUR };
  t.equal(await theirs(), START + HOUR);
  moment = { wall: START + 366 * DAY, monotonic: START + DAY + HOUR };
  t.equal(await mine(), START + 366 * DAY);
  moment = { wall: START + 366 * DAY + HOUR, monotonic: START + DAY + 2 * HOUR };
  t.equal(await theirs(), START + 366 * DAY + HOUR);
});
