import t from 'tap';
import {
  hasDuplicateIdentity,
  oneModuleAnswered,
  restartCounted,
  twoModulesAnswered,
} from '../src/mqtt/liveness/duplicate-identity.js';
import { hearHeartbeat, NEVER_HEARD } from '../src/mqtt/liveness/presence.js';
import { hearAll } from './heartbeats.js';

void t.test('presence: two stations with one identity', async (t) => {
  const restartsEvery = (ms: number, count: number) =>
    Array.from({ length: count }, (_, index) => [index * ms, 0] as const);
  t.notOk(
    hasDuplicateIdentity(hearAll(restartsEvery(4000, 7)), 24_000),
    'six restarts in 24 s are a bad day, not two stations',
  );
  t.ok(hasDuplicateIdentity(hearAll(restartsEvery(1000, 7)), 6000), 'six in ten seconds are');
  t.notOk(hasDuplicateIdentity(hearAll(restartsEvery(1000, 6)), 5000), 'five are not');

  const duplicates = hearAll([
    [0, 100],
    [300, 5],
    [1000, 101],
    [1300, 6],
  ]);
  t.ok(hasDuplicateIdentity(duplicates, 1300), 'both counts go on');
  t.notOk(hasDuplicateIdentity(duplicates, 61_301), 'long over');
  const long = Array.from({ length: 400 }, (_, id) => [100_000 + id * 1000, id] as const);
  t.notOk(
    hasDuplicateIdentity(hearAll([[0, 99], [1000, 100], ...long]), 500_000),
    'a restarted count passes where it was before',
  );

  const unheard = { ...hearAll([[0, 9]]), handedOver: true as const };
  t.notOk(hearHeartbeat(unheard, 4, 1000).presence.resumptions.length, 'what began while no gateway listened did not');
  t.ok(hasDuplicateIdentity({ ...NEVER_HEARD, twoModulesAt: 1000 }, 60_000));
  t.notOk(hasDuplicateIdentity({ ...NEVER_HEARD, twoModulesAt: 1000 }, 61_001));
});

/** Two stations of one identity, each with its own period and its first id, until one has left at `untilMs`. */
function duplicateBeats(
  stays: { periodMs: number; from: number; id: number },
  leaves: { periodMs: number; from: number; id: number },
  untilMs: number,
  toMs: number,
): { at: number; id: number; stays: boolean }[] {
  const beats: { at: number; id: number; stays: boolean }[] = [];
  for (let n = 0; stays.from + n * stays.periodMs < toMs; n++)
    beats.push({ at: stays.from + n * stays.periodMs, id: stays.id + n, stays: true });
  for (let n = 0; leaves.from + n * leaves.periodMs < untilMs; n++)
    beats.push({ at: leaves.from + n * leaves.periodMs, id: leaves.id + n, stays: false });
  return beats.sort((a, b) => a.at - b.at);
}

void t.test('presence: a station has its identity back within three heartbeats after the other is gone', async (t) => {
  const rows: [string, Parameters<typeof duplicateBeats>[0], Parameters<typeof duplicateBeats>[1], number][] = [
    ['counts far apart', { periodMs: 1000, from: 0, id: 100 }, { periodMs: 1000, from: 300, id: 0 }, 3],
    ['it started as the other left off', { periodMs: 1000, from: 0, id: 0 }, { periodMs: 1000, from: 700, id: 40 }, 3],
    ['started together', { periodMs: 1000, from: 0, id: 0 }, { periodMs: 1000, from: 10, id: 0 }, 3],
    ['quick', { periodMs: 200, from: 0, id: 9 }, { periodMs: 200, from: 120, id: 70 }, 3],
    ['slow', { periodMs: 10_000, from: 0, id: 9 }, { periodMs: 10_000, from: 4000, id: 70 }, 3],
    // Of the seldom one's periods: it cannot be known sooner that it is gone.
    ['the other beats seldom', { periodMs: 1000, from: 0, id: 9 }, { periodMs: 5000, from: 400, id: 70 }, 15],
  ];
  for (const [label, stays, leaves, within] of rows) {
    const goneAt = 8 * leaves.periodMs + leaves.from + 1;
    const beats = duplicateBeats(stays, leaves, goneAt, goneAt + 20 * stays.periodMs);
    let presence = NEVER_HEARD;
    let noticedAt: number | undefined;
    let beatsSince = 0;
    let backAfter: number | undefined;
    for (const { at, id, stays: isIt } of beats) {
      presence = hearHeartbeat(presence, id, at).presence;
      const conflict = hasDuplicateIdentity(presence, at);
      if (at < goneAt) {
        if (conflict) noticedAt ??= at;
        if (noticedAt !== undefined) t.ok(conflict, `${label}: it lasts while both are there, at ${at}`);
        continue;
      }
      if (isIt) beatsSince++;
      if (!conflict) backAfter ??= beatsSince;
      if (backAfter !== undefined) t.notOk(conflict, `${label}: and it is over for good`);
    }
    t.ok((noticedAt ?? Infinity) <= 4 * Math.max(stays.periodMs, leaves.periodMs), `${label}: noticed at ${noticedAt}`);
    t.ok((backAfter ?? Infinity) <= within, `${label}: back after ${backAfter} heartbeats`);
  }
});

void t.test('presence: what modules answered is judged by what they answer next', async (t) => {
  const duplicates = twoModulesAnswered(
    hearAll([
      [0, 4],
      [1000, 5],
    ]),
    1500,
  );
  t.ok(
    hasDuplicateIdentity(
      hearAll(
        [
          [2000, 6],
          [3000, 7],
          [4000, 8],
        ],
        duplicates,
      ),
      4000,
    ),
    'heartbeats of one say nothing of the other',
  );
  t.ok(
    hasDuplicateIdentity(oneModuleAnswered(duplicates, 1400), 2000),
    'an answer to an earlier question says nothing',
  );
  t.notOk(hasDuplicateIdentity(oneModuleAnswered(duplicates, 1600), 2000), 'one alone has answered since');
  const counted = restartCounted(restartCounted(duplicates, 3, 1600), 4, 1900);
  t.ok(hasDuplicateIdentity(oneModuleAnswered(counted, 1600), 2000), 'but two were heard to count');
});
