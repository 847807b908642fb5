import { STATION } from '@khumbu/intake/test/fixtures';
import type { OutboxEntry } from '@khumbu/operations/outbox/entry';
import t from 'tap';
import { dialectShownBy } from '../src/mqtt/inbound/request-table.js';
import {
  hasDuplicateIdentity,
  oneModuleAnswered,
  restartCounted,
  twoModulesAnswered,
} from '../src/mqtt/liveness/duplicate-identity.js';
import type { Presence } from '../src/mqtt/liveness/presence.js';
import {
  bootBegun,
  hearHeartbeat,
  heartbeatPeriodMs,
  isAway,
  NEVER_HEARD,
  restartExplained,
} from '../src/mqtt/liveness/presence.js';
import type { Station } from '../src/mqtt/liveness/station.js';
import { ageOfHeartbeat } from '../src/mqtt/liveness/stored-fields.js';
import { checkIntervalMs } from '../src/mqtt/outbound/communication-checks.js';
import { heldBecause } from '../src/mqtt/outbound/held-status.js';
import { createBacklogMarker, stillWaits } from '../src/mqtt/session/backlog-marker.js';
import { fullBuckets } from '../src/mqtt/session/token-bucket.js';
import { createLogLimiter } from '../src/rate-limited-log.js';

/** Hear a list of [monotonic time, heartbeat id]. */
const hearAll = (beats: readonly (readonly [number, number])[], from: Presence = NEVER_HEARD) =>
  beats.reduce((presence, [at, id]) => hearHeartbeat(presence, id, at).presence, from);

void t.test('presence: restarts, absence, period', async (t) => {
  const first = hearHeartbeat(NEVER_HEARD, 41, 1000);
  t.match(first, { restarted: false, returned: true });
  t.match(hearHeartbeat(first.presence, 42, 2000), { restarted: false, returned: false });
  t.match(hearHeartbeat(first.presence, 41, 2000), { restarted: true, returned: true }, 'the same id once more');
  t.match(hearHeartbeat(first.presence, 0, 2000), { restarted: true, returned: true });
  t.match(hearHeartbeat(hearAll([[0, 0]]), 0, 1000), { restarted: true }, '0 after 0');
  const big = Number.MAX_SAFE_INTEGER - 1;
  t.match(hearHeartbeat(hearAll([[0, big]]), big + 1, 1000), { restarted: false });
  t.match(hearHeartbeat(hearAll([[0, big + 1]]), 0, 1000), { restarted: true }, 'an overflow looks like a start');

  const former = hearAll([
    [0, 7],
    [1000, 8],
  ]);
  const begun = bootBegun(former, former, 2500);
  t.match(hearHeartbeat(begun, 0, 3000), { restarted: false, returned: true }, 'the boot was counted by its question');
  t.equal(bootBegun(hearAll([[2000, 9]], former), former, 2500).heartbeatId, -1, 'perhaps one of the former boot');
  for (const before of [NEVER_HEARD, begun]) {
    const heard = bootBegun(hearAll([[2600, 0]], before), before, 2700);
    t.match(heard, { heartbeatId: 0, countBeganAt: 2600 }, 'its first heartbeat came before its question was decided');
    t.match(hearHeartbeat(heard, 1, 3600), { restarted: false, returned: false });
    t.match(hearHeartbeat(heard, 0, 3600), { restarted: true });
  }

  t.equal(heartbeatPeriodMs(NEVER_HEARD), undefined);
  t.equal(heartbeatPeriodMs(hearAll([[0, 1]])), undefined);
  t.equal(
    heartbeatPeriodMs(
      hearAll([
        [0, 1],
        [5000, 2],
      ]),
    ),
    5000,
    'learned',
  );
  t.equal(
    heartbeatPeriodMs(
      hearAll([
        [0, 1],
        [10, 2],
      ]),
    ),
    1000,
    'never shorter than EVerest’s default',
  );
  const told = { ...NEVER_HEARD, communication: { heartbeat_period_ms: 250 } };
  t.equal(
    heartbeatPeriodMs(
      hearAll(
        [
          [0, 1],
          [5000, 2],
        ],
        told,
      ),
    ),
    250,
    'told wins',
  );
  t.equal(heartbeatPeriodMs({ ...told, communication: { heartbeat_period_ms: 0 } }), undefined, 'none');

  const there = hearAll([
    [0, 1],
    [1000, 2],
  ]);
  t.notOk(isAway(there, 4000));
  t.ok(isAway(there, 4001));
  t.match(hearHeartbeat(there, 3, 4001), { restarted: false, returned: true });
  t.notOk(
    isAway(hearAll([[0, 1]], { ...NEVER_HEARD, communication: { heartbeat_period_ms: -1 } }), 1e9),
    'no heartbeats wanted',
  );
  t.notOk(isAway(NEVER_HEARD, 1e9), 'a station that was only asked about');
});

void t.test('presence: our own restarts are nobody else’s, however many beats they live for', async (t) => {
  for (const beats of [1, 2, 3, 5]) {
    for (const byQuestion of [false, true]) {
      for (const lost of [0, 1]) {
        let presence = hearAll([[0, 0]]);
        let now = 0;
        for (let boot = 0; boot < 12; boot++) {
          now += 900;
          // Its question may come first, or while its first heartbeat is being looked at.
          if (byQuestion && boot % 2 === 0) presence = bootBegun(presence, presence, now);
          for (let id = 0; id < beats; id++) {
            if (lost > 0 && id === beats - 1 && beats > 2) continue;
            const heard = hearHeartbeat(presence, id, now);
            presence = heard.restarted ? restartExplained(heard.unjudged) : heard.presence;
            t.notOk(
              hasDuplicateIdentity(presence, now),
              `${beats} beats, ${byQuestion ? 'asked' : 'heard'}, boot ${boot}`,
            );
            now += 200;
          }
        }
      }
    }
  }
});

void t.test('presence: a restart while nobody listened', async (t) => {
  const left = { ...hearAll([[0, 10]]), handedOver: true as const, communication: { heartbeat_period_ms: 1000 } };
  const cases: [label: string, id: number, at: number, restarted: boolean][] = [
    ['the count has gone on', 30, 20_000, false],
    ['a few were late', 27, 20_000, false],
    ['it began anew and has overtaken', 14, 20_000, true],
    ['a short gap tells nothing', 11, 2900, false],
    ['it began anew and has not', 3, 20_000, true],
    ['it began anew soon after it left', 32, 40_000, true],
  ];
  for (const [label, id, at, restarted] of cases) t.match(hearHeartbeat(left, id, at), { restarted }, label);
  const quick = { ...left, heartbeatId: 30, communication: { heartbeat_period_ms: 250 } };
  t.match(hearHeartbeat(quick, 31, 900), { restarted: false }, 'a leader that is busy with its start hears it late');
  const young = { ...quick, heartbeatId: 1 };
  t.match(
    hearHeartbeat(young, 10, 3250),
    { restarted: false },
    'who stored its heartbeat read a clock a second behind',
  );
  const old = { ...left, heartbeatId: 100 };
  t.match(hearHeartbeat(old, 105, 20_000), { restarted: false }, 'beats were lost: no count of the gap is so high');
  t.match(hearHeartbeat({ ...left, heartbeatId: -1 }, 0, 20_000), { restarted: false }, 'counted by its question');
  const { handedOver: _handedOver, ...own } = left;
  t.match(hearHeartbeat(own, 14, 20_000), { restarted: false }, 'heartbeats that were merely lost');
  t.notOk(hearHeartbeat(left, 30, 20_000).presence.handedOver, 'told once');
});

void t.test('presence: two stations with one identity', async (t) => {
  const restartsEvery = (ms: number, count: number) =>
    Array.from({ length: count }, (_, index) => [index * ms, 0] as const);
  t.notOk(
    hasDuplicateIdentity(hearAll(restartsEvery(4000, 7)), 24_000),
    'six restarts in 24 s are a bad day, not two stations',
  );
  t.ok(hasDuplicateIdentity(hearAll(restartsEvery(1000, 7)), 6000), 'six in ten seconds are');
  t.notOk(hasDuplicateIdentity(hearAll(restartsEvery(1000, 6)), 5000), 'five are not');

  const twins = hearAll([
    [0, 100],
    [300, 5],
    [1000, 101],
    [1300, 6],
  ]);
  t.ok(hasDuplicateIdentity(twins, 1300), 'both counts go on');
  t.notOk(hasDuplicateIdentity(twins, 61_301), 'long over');
  const long = Array.from({ length: 400 }, (_, id) => [100_000 + id * 1000, id] as const);
  t.notOk(
    hasDuplicateIdentity(hearAll([[0, 99], [1000, 100], ...long]), 500_000),
    'a restarted count passes where it was before',
  );

  const unheard = { ...hearAll([[0, 9]]), handedOver: true as const };
  t.notOk(hearHeartbeat(unheard, 4, 1000).presence.resumptions.length, 'what began while nobody listened did not');
  t.ok(hasDuplicateIdentity({ ...NEVER_HEARD, twoModulesAt: 1000 }, 60_000));
  t.notOk(hasDuplicateIdentity({ ...NEVER_HEARD, twoModulesAt: 1000 }, 61_001));
});

/** Two stations of one identity, each with its own period and its first id, until one has left at `untilMs`. */
function twinBeats(
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

void t.test('presence: a station has its identity back within three heartbeats after its twin is gone', async (t) => {
  const rows: [string, Parameters<typeof twinBeats>[0], Parameters<typeof twinBeats>[1], number][] = [
    ['counts far apart', { periodMs: 1000, from: 0, id: 100 }, { periodMs: 1000, from: 300, id: 0 }, 3],
    ['it started as the other left off', { periodMs: 1000, from: 0, id: 0 }, { periodMs: 1000, from: 700, id: 40 }, 3],
    ['started together', { periodMs: 1000, from: 0, id: 0 }, { periodMs: 1000, from: 10, id: 0 }, 3],
    ['quick', { periodMs: 200, from: 0, id: 9 }, { periodMs: 200, from: 120, id: 70 }, 3],
    ['slow', { periodMs: 10_000, from: 0, id: 9 }, { periodMs: 10_000, from: 4000, id: 70 }, 3],
    // Of the seldom one's periods, as nobody knows sooner that it is gone.
    ['the twin beats seldom', { periodMs: 1000, from: 0, id: 9 }, { periodMs: 5000, from: 400, id: 70 }, 15],
  ];
  for (const [label, stays, leaves, within] of rows) {
    const goneAt = 8 * leaves.periodMs + leaves.from + 1;
    const beats = twinBeats(stays, leaves, goneAt, goneAt + 20 * stays.periodMs);
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
  const twins = twoModulesAnswered(
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
        twins,
      ),
      4000,
    ),
    'heartbeats of one say nothing of the other',
  );
  t.ok(hasDuplicateIdentity(oneModuleAnswered(twins, 1400), 2000), 'an answer to an earlier question says nothing');
  t.notOk(hasDuplicateIdentity(oneModuleAnswered(twins, 1600), 2000), 'one alone has answered since');
  const counted = restartCounted(restartCounted(twins, 3, 1600), 4, 1900);
  t.ok(hasDuplicateIdentity(oneModuleAnswered(counted, 1600), 2000), 'but two were heard to count');
});

const entryFor = (afterBoot?: OutboxEntry['afterBoot']): OutboxEntry => ({
  id: 'e',
  operationId: 'o',
  channel: 'firmware_update_status',
  payload: {},
  at: 0,
  expiresAt: 1e15,
  ...(afterBoot ? { afterBoot } : {}),
});
const station = (presence: Presence, more: Partial<Station> = {}): Station => ({
  station: STATION,
  moduleId: STATION,
  presence,
  registered: false,
  bootsNoticed: 0,
  bootsCounted: 0,
  learnedDialect: 'unknown',
  dirty: false,
  duplicateReported: false,
  metAt: 0,
  buckets: fullBuckets(200, 0),
  stored: { heard: true, duplicate: false, away: false },
  ...more,
});

void t.test('statuses are held while nobody would hear them', async (t) => {
  const monotonic = 1_000_000;
  const there = hearAll([
    [9000, 1],
    [10_000, 2],
  ]);
  const at = (mono: number) => ({ monotonic, mono });
  t.equal(heldBecause(entryFor(), undefined, at(0)), 'unknown_station');
  t.equal(heldBecause(entryFor(), station(there), at(10_500)), undefined);
  t.equal(heldBecause(entryFor(), station(there), at(13_001)), 'away');
  const bootAgo = (ms: number, settleMs = 0) => entryFor({ at: monotonic - ms, settleMs });
  t.equal(
    heldBecause(bootAgo(200), station(there), at(10_500)),
    'booting',
    'the last heartbeat is older than the boot',
  );
  t.equal(heldBecause(bootAgo(900), station(there), at(10_500)), 'booting', 'the count goes on: it may not have ended');
  t.equal(heldBecause(bootAgo(3499), station(there), at(10_500)), 'booting');
  t.equal(heldBecause(bootAgo(3501), station(there), at(10_500)), undefined, 'it goes on through boots');
  const anew = hearAll([
    [8000, 7],
    [9500, 0],
    [10_000, 1],
  ]);
  t.equal(heldBecause(bootAgo(1100), station(anew), at(10_500)), undefined, 'the count began anew');
  t.equal(heldBecause(bootAgo(900), station(anew), at(10_500)), 'booting', 'before the boot was seen');
  const begun = (ms: number) => entryFor({ at: monotonic - 900, settleMs: 0, begunAt: monotonic - ms });
  t.equal(heldBecause(begun(1100), station(anew), at(10_500)), undefined, 'but after it was asked for');
  t.equal(heldBecause(begun(950), station(anew), at(10_500)), 'booting');
  t.equal(heldBecause(bootAgo(1100, 2000), station(anew), at(10_500)), 'settling');
  t.equal(heldBecause(bootAgo(60_000, 2000), station(anew), at(10_500)), 'settling', 'the host was back long before');
  t.equal(heldBecause(bootAgo(60_000, 2000), station(anew), at(11_499)), 'settling');
  t.equal(heldBecause(bootAgo(60_000, 2000), station(anew), at(11_500)), undefined, 'counted from its first heartbeat');
  const seenLate = entryFor({ at: monotonic - 600, settleMs: 900, begunAt: monotonic - 5000 });
  t.equal(
    heldBecause(seenLate, station(anew), at(10_500)),
    undefined,
    'EVerest was back before its host was seen to be',
  );
  const handedOver = {
    ...hearAll([[9000, 7]]),
    handedOver: true as const,
    communication: { heartbeat_period_ms: 500 },
  };
  const afterTakeover = hearAll([[10_400, 9]], handedOver);
  t.equal(
    heldBecause(bootAgo(60_000, 2000), station(afterTakeover), at(10_500)),
    'settling',
    'of what another leader heard nothing is known',
  );
  const asked = bootBegun(NEVER_HEARD, NEVER_HEARD, 10_000);
  t.equal(
    heldBecause(bootAgo(60_000, 2000), station(asked), at(10_500)),
    'settling',
    'without heartbeats: its question',
  );
  t.equal(heldBecause(bootAgo(60_000, 2000), station(asked), at(12_000)), undefined);
  const withOcpp = { ocppConsumer: 'ocpp' };
  t.equal(heldBecause(bootAgo(9000), station(there, withOcpp), at(10_500)), 'not_registered');
  t.equal(heldBecause(bootAgo(1100, 5000), station(anew, { ...withOcpp, registered: true }), at(10_500)), undefined);
  t.equal(heldBecause(bootAgo(100), station(NEVER_HEARD), at(10_500)), undefined, 'a station without heartbeats');
});

void t.test('what asks for a permission waits for the first heartbeat after a takeover', async (t) => {
  const at = { monotonic: 1_000_000, mono: 10_500 };
  const asking = (status: string) => ({ ...entryFor(), payload: { firmware_update_status: status, request_id: 1 } });
  const communication = { heartbeat_period_ms: 1000 };
  const known: Presence = { ...NEVER_HEARD, communication, heartbeatId: 7, heartbeatAt: 9000, heardAt: 9000 };
  const taken: Presence = { ...known, handedOver: true };
  const rows: [string, Presence, string | undefined][] = [
    ['SignatureVerified', taken, 'boot_unsure'],
    ['Downloaded', taken, 'boot_unsure'],
    ['Downloading', taken, undefined],
    ['Installed', taken, undefined],
    ['SignatureVerified', known, undefined],
    ['SignatureVerified', hearHeartbeat(taken, 8, 10_400).presence, undefined],
    ['SignatureVerified', { ...taken, communication: { heartbeat_period_ms: 0 } }, undefined],
  ];
  for (const [status, presence, expected] of rows)
    t.equal(heldBecause(asking(status), station(presence), at), expected, status);
});

void t.test('the age of a stored heartbeat', async (t) => {
  const hour = 3600_000;
  const heartbeat = { id: 7, at: 10 * hour, steadyAt: 5 * hour };
  const after = (wallMs: number, steadyMs: number) => ({ wall: 10 * hour + wallMs, monotonic: 5 * hour + steadyMs });
  const here = 4 * hour;
  const since = 6 * hour;
  const cases: [string, ReturnType<typeof after>, number, number][] = [
    ['time passes', after(2000, 2000), here, 2000],
    ['the date jumped forward, and so the leader changed', after(hour, 2000), here, 2000],
    ['the date jumped back', after(-hour, 2000), here, 2000],
    ['the depot was off for an hour', after(hour, 2000), since, hour],
    ['this process is new, and the date was set back', after(-hour, 2000), since, 2000],
  ];
  for (const [what, now, openedAt, wanted] of cases) t.equal(ageOfHeartbeat(heartbeat, now, openedAt), wanted, what);
  t.equal(ageOfHeartbeat({ id: 7, at: 10 * hour }, after(3000, 0), here), 3000, 'stored by an earlier version');
});

void t.test('small decisions of the bridge', async (t) => {
  t.ok(stillWaits(undefined, 10), 'EVerest’s default of 550 s');
  t.ok(stillWaits({ request_reply_timeout_s: 30 }, 25));
  t.notOk(stillWaits({ request_reply_timeout_s: 29 }, 25));
  t.ok(stillWaits({}, 10));
  const [backlogMarker, other] = [createBacklogMarker('c'), createBacklogMarker('c')];
  t.equal(backlogMarker.topic, other.topic);
  other.hear(Buffer.from(backlogMarker.nonce));
  t.notOk(other.isPassed(), 'the echo of an earlier session');
  backlogMarker.hear(Buffer.from(backlogMarker.nonce));
  t.ok(backlogMarker.isPassed());

  const period = (seconds?: number) =>
    checkIntervalMs({
      presence: {
        ...NEVER_HEARD,
        ...(seconds === undefined ? {} : { communication: { communication_check_period_s: seconds } }),
      },
    });
  t.equal(period(3), 1000);
  t.equal(period(), 5000 / 3);
  t.equal(period(0), undefined);
  t.equal(period(-1), undefined);

  t.equal(dialectShownBy('update_firmware', { request_id: -1 }), 'ocpp1.6');
  t.equal(dialectShownBy('update_firmware', { request_id: 4 }), undefined);
  t.equal(dialectShownBy('upload_logs', {}), 'ocpp1.6');
  t.equal(dialectShownBy('upload_logs', { request_id: 0 }), undefined);
  t.equal(dialectShownBy('is_reset_allowed', 'NotSpecified'), 'ocpp2.x');
  t.equal(dialectShownBy('is_reset_allowed', 'Soft'), 'ocpp1.6');
  t.equal(dialectShownBy('get_boot_reason', undefined), undefined);

  let now = 0;
  const limiter = createLogLimiter(() => now);
  for (let line = 0; line < 20; line++) t.equal(limiter('a'), 0);
  t.equal(limiter('a'), undefined);
  t.equal(limiter('b'), 0);
  now = 10_000;
  t.equal(limiter('a'), 1);
});
