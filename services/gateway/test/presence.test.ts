import t from 'tap';
import { bootSince, markBoot } from '../src/mqtt/liveness/boot-mark.js';
import { hasDuplicateIdentity } from '../src/mqtt/liveness/duplicate-identity.js';
import {
  bootBegun,
  hearHeartbeat,
  heartbeatPeriodMs,
  isAway,
  NEVER_HEARD,
  type Presence,
  restartExplained,
  silenceBefore,
} from '../src/mqtt/liveness/presence.js';
import { newStation } from '../src/mqtt/liveness/station.js';
import { ageOfHeartbeat } from '../src/mqtt/liveness/stored-fields.js';
import { checkIntervalMs } from '../src/mqtt/outbound/communication-checks.js';
import { hearAll } from './heartbeats.js';

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

void t.test('presence: our own restarts are not the station’s, however many beats they live for', async (t) => {
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

void t.test('presence: a restart while no gateway listened', async (t) => {
  const left = { ...hearAll([[0, 10]]), handedOver: true as const, communication: { heartbeat_period_ms: 1000 } };
  const cases: [label: string, id: number, at: number, restarted: boolean][] = [
    ['the count has gone on', 30, 20_000, false],
    ['a few were late', 27, 20_000, false],
    ['a short gap tells nothing', 11, 2900, false],
    ['it began anew and has not overtaken', 3, 20_000, true],
  ];
  for (const [label, id, at, restarted] of cases) t.match(hearHeartbeat(left, id, at), { restarted }, label);
  for (const [label, id, at] of [
    ['it began anew and has overtaken', 14, 20_000],
    ['it began anew soon after it left', 32, 40_000],
  ] as const) {
    const first = hearHeartbeat(left, id, at);
    t.match(first, { restarted: 'open', returned: true, presence: { handedOver: true } }, label);
    t.notOk(isAway(first.presence, at), 'whichever boot it is, it is there');
    const second = hearHeartbeat(first.presence, id + 1, at + 990);
    t.match(second, { restarted: 'open', returned: false, presence: { handedOver: true } }, `${label}: one more`);
    const third = hearHeartbeat(second.presence, id + 2, at + 1980);
    t.match(third, { restarted: true, returned: true, presence: { countBeganAt: at } }, `${label}: it is at its pace`);
    t.equal(silenceBefore(second.presence, at + 1980), at, 'the silence ended with its first heartbeat');
    t.notOk(third.presence.behind);
    t.match(hearHeartbeat(third.presence, id + 3, at + 2970), { restarted: false }, `${label}: counted once`);
    t.match(hearHeartbeat(second.presence, 1, at + 1980), { restarted: true }, `${label}: and once more`);
    t.match(hearHeartbeat(bootBegun(second.presence, second.presence, at + 1000), 1, at + 1100), { restarted: false });
  }
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

void t.test(
  'presence: heartbeats that were kept on their way and come all at once are of the boot that goes on',
  async (t) => {
    const left = { ...hearAll([[0, 8]]), handedOver: true as const, communication: { heartbeat_period_ms: 1000 } };
    // The broker stood still for 12 s, and a machine as busy may pause among them.
    for (const pauseMs of [0, 900]) {
      let presence: Presence = left;
      for (let id = 9; id <= 20; id += 1) {
        const heard = hearHeartbeat(presence, id, 12_100 + (id > 9 ? pauseMs : 0) + id);
        t.not(heard.restarted, true, `heartbeat ${id}`);
        presence = heard.presence;
      }
      t.notOk(presence.handedOver, 'the newest shows that the count has gone on');
      t.notOk(presence.behind);
      t.match(hearHeartbeat(presence, 21, 13_100), { restarted: false });
      t.match(hearHeartbeat(presence, 0, 13_100), { restarted: true });
    }
  },
);

void t.test('the age of a stored heartbeat', async (t) => {
  const hour = 3600_000;
  const heartbeat = { id: 7, at: 10 * hour, steadyAt: 5 * hour };
  const after = (wallMs: number, monotonicMs: number) => ({
    wall: 10 * hour + wallMs,
    monotonic: 5 * hour + monotonicMs,
  });
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

void t.test('which boot something belongs to', async (t) => {
  const entry = newStation({ station: 'cs-1', moduleId: 'cs-1' }, 200, 0);
  entry.presence = hearAll([[1000, 7]]);
  const mark = markBoot(entry);
  t.equal(bootSince(mark, entry), 'unknown', 'nothing was heard since');
  entry.presence = hearAll([[2000, 8]], entry.presence);
  t.equal(bootSince(mark, entry), 'same', 'the count goes on');
  entry.presence = hearAll([[3000, 0]], entry.presence);
  entry.bootsNoticed += 1;
  t.equal(bootSince(mark, entry), 'another', 'it began anew');
  t.equal(bootSince(markBoot(entry), entry), 'unknown', 'of the new boot');
});

void t.test('how often a station is checked', async (t) => {
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
});
