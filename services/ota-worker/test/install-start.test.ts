/** When an install may begin at a station: the product's step, a real Redis, a simulated charger. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { applyUpdateEvent } from '@khumbu/operations/kinds/firmware-update/transition';
import { createStore } from '@khumbu/operations/kinds/store';
import { createDriver } from '@khumbu/station-drivers/create-driver';
import type { StationDriver } from '@khumbu/station-drivers/port';
import { createInstall } from '@khumbu/steps/firmware-update/install';
import { makeImage } from '@khumbu/test-support/firmware';
import { openRedis } from '@khumbu/test-support/redis';
import t, { type Test } from 'tap';
import { depsOf, offeredUpdate, profileOf, statusesIn, workOn } from './update-stage.js';

const now = () => momentOf(Date.now());
const { redis } = await openRedis(t, t.testdir({}));
let count = 0;

const HERE = { firstSeenAt: '1', lastSeenAt: String(Date.now()) };
const PERIODS = { heartbeat_period_ms: 1000, communication_check_period_s: 5, request_reply_timeout_s: 30 };
/** A heartbeat that was stored so many milliseconds ago. */
const beat = (agoMs: number, more: object = {}) => {
  const { wall, monotonic } = now();
  return { id: 50, at: wall - agoMs, steadyAt: monotonic - agoMs, ...more };
};

/** An update that is ready to be installed at a station with these stored fields; objects are stored as JSON. */
async function ready(t: Test, fields: Record<string, unknown>, more: Partial<FirmwareUpdateRecord> = {}) {
  const dir = t.testdir({ spool: { images: {} }, chargers: {} });
  const { bytes, sha256 } = makeImage(10_000);
  writeFileSync(join(dir, 'spool', 'images', sha256), bytes);
  const store = createStore(redis, `start${++count}`);
  const profile = profileOf({ simulated: { install_ms: 0 } });
  const simulated = createDriver(profile, { dataDir: join(dir, 'chargers'), redactionKey: undefined });
  let atObserve = async (): Promise<void> => undefined;
  const driver: StationDriver = {
    ...simulated,
    async observe(signal) {
      await atObserve();
      return simulated.observe(signal);
    },
  };
  const deps = depsOf({ store, profile, spoolDir: join(dir, 'spool'), driver });
  const setFields = async (changed: Record<string, unknown>): Promise<void> => {
    const stored = Object.entries(changed).map(([name, value]) => [
      name,
      typeof value === 'string' || value === undefined ? value : JSON.stringify(value),
    ]);
    await store.commit(store.transaction().setStation('cp1', Object.fromEntries(stored) as Record<string, string>));
  };
  const epoch = Number(fields.bootEpoch ?? 0);
  const context = { now: now(), dialect: 'ocpp2.x', bootEpoch: epoch } as const;
  let record = offeredUpdate(now(), {
    signed: false,
    permission: { bootEpoch: epoch, at: Date.now(), by: 'everest' },
    image: { sha256, sizeBytes: bytes.length },
    ...more,
  });
  for (const event of ['confirmed', 'fetchJoined', 'fetched'] as const)
    record = applyUpdateEvent(record, event, context).record;
  await store.commit(store.transaction().put(record));
  await setFields(fields);
  const work = workOn(deps, { install: createInstall(deps) }, record.id);
  return {
    setFields,
    /** Once, when the step has read what it decides from and is about to store that it begins. */
    whileItBegins(then: () => Promise<void>): void {
      atObserve = () => {
        atObserve = async () => undefined;
        return then();
      };
    },
    /** A worker takes the job that the update wants, once its pause is over; resolves with the update then. */
    async work(): Promise<FirmwareUpdateRecord> {
      const due = { ...((await store.load(record.id)) as FirmwareUpdateRecord), notBefore: 0 };
      await store.commit(store.transaction().put(due));
      return work();
    },
    told: () => statusesIn(store),
  };
}

const BEGUN = { state: 'InstallRebooting' };

void t.test('a reset that EVerest was allowed keeps installs away until EVerest has started anew', async (t) => {
  const soon = String(Date.now() + 300_000);
  const reserved = { ...HERE, bootEpoch: '4', resetReservedUntil: soon, resetAllowedEpoch: '4' };
  const station = await ready(t, reserved);
  t.match(await station.work(), { state: 'Downloaded', waitingFor: 'reset_reservation' });
  await station.setFields({ resetReservedUntil: '1' });
  t.match(await station.work(), BEGUN, 'or until it is over');

  const started = await ready(t, { ...reserved, bootEpoch: '5' });
  t.match(await started.work(), BEGUN, 'the boot that was allowed is over');
});

void t.test('a reset that EVerest is allowed while an install is about to begin', async (t) => {
  const reserved = { resetReservedUntil: String(Date.now() + 300_000), resetAllowedEpoch: '4' };
  const rows = {
    'nothing was reserved': {},
    'the boot before was reserved until the same time': { ...reserved, resetAllowedEpoch: '3' },
  };
  for (const [what, before] of Object.entries(rows)) {
    const station = await ready(t, { ...HERE, bootEpoch: '4', ...before });
    station.whileItBegins(() => station.setFields(reserved));
    await station.work();
    t.match(await station.work(), { state: 'Downloaded', waitingFor: 'reset_reservation' }, what);
  }
});

void t.test('a permission counts while the boot of EVerest that gave it is alive', async (t) => {
  const BEATS = { ...HERE, bootEpoch: '2', communication: PERIODS };
  const rows: [string, Record<string, unknown>, Partial<FirmwareUpdateRecord>, object][] = [
    ['it beats', { heartbeat: beat(500) }, {}, BEGUN],
    ['a heartbeat that is stored late', { heartbeat: beat(5000) }, {}, BEGUN],
    ['silent for 95 s, and nobody has found it away', { heartbeat: beat(95_000) }, {}, { waitingFor: 'station_away' }],
    [
      'silent, as its own heartbeats told',
      { heartbeat: beat(95_000, { periodMs: 1000 }), communication: undefined },
      {},
      { waitingFor: 'station_away' },
    ],
    ['found away', { heartbeat: beat(3500), awaySince: String(Date.now()) }, {}, { waitingFor: 'station_away' }],
    [
      'it beats seldom',
      { heartbeat: beat(95_000), communication: { ...PERIODS, heartbeat_period_ms: 60_000 } },
      {},
      BEGUN,
    ],
    [
      'needs no permission, and is silent',
      { heartbeat: beat(95_000) },
      { permissionNeeded: false },
      { waitingFor: 'station_away' },
    ],
  ];
  for (const [what, fields, more, expected] of rows) {
    const station = await ready(t, { ...BEATS, ...fields }, more);
    t.match(await station.work(), expected, what);
  }
});

void t.test(
  'a station that comes back: its own boot goes on with the permission, another one is asked again',
  async (t) => {
    for (const [what, back, expected] of [
      ['the same boot', { heartbeat: beat(0), awaySince: undefined }, BEGUN],
      [
        'another boot',
        { heartbeat: beat(0), awaySince: undefined, bootEpoch: '3' },
        { state: 'Downloaded', permission: undefined, waitingFor: /^permission/, triggerEpoch: 3 },
      ],
    ] as const) {
      const away = { ...HERE, bootEpoch: '2', communication: PERIODS, heartbeat: beat(95_000), awaySince: '5' };
      const station = await ready(t, away);
      t.match(
        await station.work(),
        { state: 'Downloaded', waitingFor: 'station_away', permission: { by: 'everest' } },
        what,
      );
      t.match(await station.work(), { state: 'Downloaded', waitingFor: 'station_away' });
      t.same(await station.told(), [], 'in silence');
      await station.setFields(back);
      t.match(await station.work(), expected, what);
    }
  },
);

void t.test('a station without heartbeats is asked again when nothing was heard of it for an hour', async (t) => {
  const hours = (count: number) => Date.now() - count * 3600_000;
  const silent = { firstSeenAt: '1', communication: { ...PERIODS, heartbeat_period_ms: 0 } };
  const given = (at: number): Partial<FirmwareUpdateRecord> => ({ permission: { bootEpoch: 0, at, by: 'everest' } });
  const early = await ready(t, { ...silent, lastSeenAt: String(hours(20)) }, given(hours(0.9)));
  t.match(await early.work(), BEGUN);
  const heard = await ready(t, { ...silent, lastSeenAt: String(hours(0.5)) }, given(hours(20)));
  t.match(await heard.work(), BEGUN);
  const late = await ready(t, { ...silent, lastSeenAt: String(hours(1.1)) }, given(hours(1.1)));
  const asked = await late.work();
  t.match(asked, { state: 'Downloaded', permission: undefined, waitingFor: /^permission/ });
  t.match(asked.history.at(-1), { reason: 'permission_expired' });
  t.same(await late.told(), ['Downloaded'], 'it hears the trigger again');
});

void t.test(
  'nothing is installed where EVerest was never heard, and an operator decides for one that is away',
  async (t) => {
    const byOperator: Partial<FirmwareUpdateRecord> = {
      announced: false,
      permission: { bootEpoch: 0, at: Date.now(), by: 'rest' },
    };
    for (const more of [{}, { permissionNeeded: false }, byOperator]) {
      const station = await ready(t, {}, more);
      t.match(await station.work(), { state: 'Downloaded', waitingFor: 'station_never_heard' });
      await station.setFields({ ...HERE, heartbeat: beat(0), communication: PERIODS });
      t.match(await station.work(), BEGUN, 'until it is heard');
    }
    const away = { ...HERE, communication: PERIODS, heartbeat: beat(95_000), awaySince: '5' };
    t.match(await (await ready(t, away, byOperator)).work(), BEGUN);
  },
);
