import t from 'tap';
import {
  type BootEvidence,
  type BootSign,
  decideBootReason,
  HOST_BOOT_MS,
  OPEN,
  RESTART_EXPECTED_FOR_MS,
  reasonOfBoot,
  refinedByHost,
  signWaitMs,
} from '../src/decide-boot-reason.js';
import { stationState } from './fixtures.js';

void t.test('what the host testifies counts more than a silence', async (t) => {
  const host = (more: object) => ({ bootId: 'b', bootSeenAt: 500, at: 1, steadyAt: 900, bootEpoch: 3, ...more });
  const before = { bootId: 'a', bootEpoch: 3 };
  const heartbeat = { id: 9, at: 1, steadyAt: 400 };
  const begins = (reason: 'PowerUp' | 'ApplicationReset' | 'RemoteReset') => ({
    reason,
    beginsBoot: true,
    store: true,
  });
  const rows: [string, object, Parameters<typeof refinedByHost>[0], object | undefined, string][] = [
    ['nothing is known', { heartbeat }, begins('PowerUp'), undefined, 'PowerUp'],
    ['it has booted', { heartbeat }, begins('ApplicationReset'), host({ before }), 'PowerUp'],
    ['by its watchdog', { heartbeat }, begins('PowerUp'), host({ before, bootReason: 'Watchdog' }), 'Watchdog'],
    [
      'long silent, and up all the time',
      { heartbeat },
      begins('PowerUp'),
      host({ bootSeenAt: 300 }),
      'ApplicationReset',
    ],
    ['first seen', { heartbeat }, begins('PowerUp'), host({ bootReason: 'Watchdog' }), 'PowerUp'],
    [
      'last seen two boots of EVerest ago',
      { heartbeat },
      begins('PowerUp'),
      host({ before: { bootId: 'a', bootEpoch: 2 }, bootReason: 'Watchdog' }),
      'PowerUp',
    ],
    ['caused by the depot', { heartbeat }, begins('RemoteReset'), host({ before }), 'RemoteReset'],
    [
      'noticed by its heartbeat before it asked',
      { bootEpoch: '4', bootReason: { bootEpoch: 4, reason: 'PowerUp', asked: false, aliveAt: 400 } },
      { reason: 'PowerUp', beginsBoot: false, store: true },
      host({ before, bootEpoch: 4, bootReason: 'Watchdog' }),
      'Watchdog',
    ],
    [
      'told before',
      { bootEpoch: '4', bootReason: { bootEpoch: 4, reason: 'PowerUp', asked: true, aliveAt: 400 } },
      { reason: 'PowerUp', beginsBoot: false, store: false },
      host({ before, bootEpoch: 4, bootReason: 'Watchdog' }),
      'PowerUp',
    ],
  ];
  for (const [what, fields, answer, seen, reason] of rows) {
    const state = stationState({ bootEpoch: '3', ...fields });
    const evidence = { state, host: seen as BootEvidence['host'], monotonicNow: 1000 };
    t.same(refinedByHost(answer, evidence), { ...answer, reason }, what);
  }
});

void t.test('get_boot_reason', async (t) => {
  const now = 10 * RESTART_EXPECTED_FOR_MS;
  const expected = (at: number) => ({ reason: 'RemoteReset', operationId: 'reset-1', at });
  const told = (reason: string, more: object = {}) => ({
    bootEpoch: '3',
    bootReason: { bootEpoch: 3, reason, asked: true, ...more },
    heartbeat: { id: 50, at: now, steadyAt: now },
  });
  const known = told('PowerUp');
  const ask = (fields: object, silentMs?: number, more: number | Partial<BootEvidence> = {}) =>
    decideBootReason({
      state: stationState({ ...fields }),
      silentMs,
      heartbeatPeriodMs: more === 0 ? undefined : 1000,
      monotonicNow: now,
      ...(typeof more === 'object' ? more : {}),
    });
  const first = { reason: 'PowerUp', beginsBoot: false, store: true };
  const same = (reason: string, store = false) => ({ reason, beginsBoot: false, store });
  const anew = (reason: string) => ({ reason, beginsBoot: true, store: true });

  t.same(ask({}), first, 'a station we have never heard');
  t.same(ask({ restartExpected: expected(now - 5000) }, 3000), anew('RemoteReset'));
  t.same(
    ask({ ...known, restartExpected: expected(now - 5000) }, 100),
    anew('RemoteReset'),
    'the question overtakes the first heartbeat',
  );
  t.same(ask(known, 2600), anew('ApplicationReset'), 'too quick for a host');
  t.same(ask(known, HOST_BOOT_MS + 1), anew('PowerUp'));
  t.same(ask(known, 60_000, 0), same('PowerUp'), 'no heartbeats to miss');
  const stale = { ...known, restartExpected: expected(now - RESTART_EXPECTED_FOR_MS - 1) };
  t.same(ask(stale, HOST_BOOT_MS + 1), anew('PowerUp'), 'an expectation that went stale');

  for (const reason of ['PowerUp', 'RemoteReset', 'ScheduledReset', 'FirmwareUpdate']) {
    for (const silentMs of [0, 400, 900, 2400]) {
      const open = [told(reason), told(reason, { asked: undefined }), told(reason, { asked: false })];
      for (const fields of open) t.equal(ask(fields, silentMs), OPEN, `${reason}, silent for ${silentMs} ms`);
    }
    const sign = (what: BootSign, bootEpoch = 3) => ({ sign: { what, bootEpoch } });
    t.same(ask(told(reason), 900, sign('goes_on')), same(reason), 'the same answer in one boot');
    t.same(ask(told(reason, { asked: false }), 900, sign('goes_on')), same(reason, true), 'asked for the first time');
    t.same(ask(told(reason), 900, sign('silence')), anew('ApplicationReset'), 'never twice on suspicion');
    t.same(ask(told(reason), 900, sign('beacon')), anew('ApplicationReset'));
    t.same(ask(told(reason), 900, sign('silence', 2)), same(reason), 'another question has waited for the same');
    t.same(ask(told(reason, { asked: false }), 900, sign('begins', 2)), same(reason, true), 'counted by its heartbeat');
    t.same(ask(told(reason), 900, { beaconHeard: true }), anew('ApplicationReset'), 'its modules have started');
    t.same(ask(told(reason, { asked: false }), 30, { countAgeMs: 30 }), same(reason, true), 'as it starts');
    t.equal(ask(told(reason), 30, { countAgeMs: 30 }), OPEN, 'it had asked already');
    t.equal(ask(told(reason, { asked: false }), 30, { countAgeMs: 3000 }), OPEN, 'long after it started');
    const expects = { ...told(reason), restartExpected: expected(now - 5) };
    t.same(ask(expects, 900, sign('goes_on')), same(reason), 'the restart that is expected is still to come');
    t.same(ask(expects, 900, sign('silence')), anew('RemoteReset'), 'it has come while the question waited');
  }
  const counted = { ...told('RemoteReset', { asked: false }), heartbeat: { id: -1, at: now, steadyAt: now } };
  t.same(
    ask(counted, 9000, { awaitsHeartbeat: false, isCounted: true }),
    same('RemoteReset', true),
    'its heartbeat was counted while the question waited for its turn',
  );
  t.same(ask(told('ApplicationReset'), 900), same('ApplicationReset'), 'the same, whichever boot it is');
  const heard = { bootEpoch: '0', heartbeat: { id: 9, at: now, steadyAt: now } };
  t.equal(ask(heard, 900), OPEN, 'it was heard, and nobody had asked');
  t.same(ask(heard, 900, { sign: { what: 'goes_on', bootEpoch: 0 } }), first);
  t.same(ask(heard, 900, { sign: { what: 'silence', bootEpoch: 0 } }), anew('ApplicationReset'));
  t.same(ask(heard, 4000), anew('ApplicationReset'), 'and it came back');

  const begun = {
    bootEpoch: '4',
    bootReason: { bootEpoch: 4, reason: 'RemoteReset', asked: true },
    heartbeat: { id: -1, at: now - 9000, steadyAt: now - 9000 },
  };
  t.same(ask(begun, 9000, { begunMs: 100 }), same('RemoteReset'), 'asked by two as it starts');
  t.same(ask(begun, 9000), anew('ApplicationReset'), 'that start came to nothing: its first heartbeat never came');
  t.same(ask(begun, 60_000, { begunMs: 60_000 }), anew('PowerUp'));
  t.same(ask(begun, undefined, 0), anew('ApplicationReset'), 'EVerest without heartbeats asks once in each start');
  t.equal(ask(begun, 900, { awaitsHeartbeat: false }), OPEN, 'it has come, and is not stored yet');

  const seldom = { heartbeatPeriodMs: 10_000 };
  t.same(ask(known, 25_001, seldom), anew('PowerUp'));
  t.same(
    reasonOfBoot({ state: stationState(known), silentMs: 22_000, monotonicNow: now, ...seldom }),
    'ApplicationReset',
  );
});

void t.test('get_boot_reason: how long an answer may wait', (t) => {
  const rows: [silentMs: number, periodMs: number, timeoutS: number | undefined, waitMs: number][] = [
    [0, 1000, 30, 1200],
    [1000, 1000, 30, 1200],
    [2000, 1000, 30, 500],
    [0, 10_000, 60, 12_000],
    [0, 10_000, 30, 10_000],
    [0, 60_000, undefined, 72_000],
    [0, 600_000, undefined, 100_000],
    [9000, 1000, 30, 0],
  ];
  for (const [silentMs, periodMs, timeoutS, waitMs] of rows) {
    const told = timeoutS === undefined ? {} : { request_reply_timeout_s: timeoutS };
    t.equal(Math.round(signWaitMs(silentMs, periodMs, told)), waitMs, `${silentMs} of ${periodMs}`);
  }
  t.end();
});
