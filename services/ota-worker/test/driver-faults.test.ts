/** What becomes of an update when the driver of its station fails: the product's steps, a real Redis, a simulated charger. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { applyUpdateEvent } from '@khumbu/operations/kinds/firmware-update/transition';
import { waitingOf } from '@khumbu/operations/kinds/kinds';
import { createStore } from '@khumbu/operations/kinds/store';
import { CodedError } from '@khumbu/shared/runtime/errors';
import { createDriver } from '@khumbu/station-drivers/create-driver';
import type { StationDriver } from '@khumbu/station-drivers/port';
import { createConfirm } from '@khumbu/steps/firmware-update/confirm';
import { createInstall } from '@khumbu/steps/firmware-update/install';
import { awaitUntil } from '@khumbu/test-support/events';
import { makeImage } from '@khumbu/test-support/firmware';
import { openRedis } from '@khumbu/test-support/redis';
import t, { type Test } from 'tap';
import { depsOf, offeredUpdate, profileOf, statusesIn, workOn } from './update-stage.js';

const now = () => momentOf(Date.now());
const signal = AbortSignal.timeout(600_000);
const { redis } = await openRedis(t, t.testdir({}));
let count = 0;

const fails = (code: string) => async () => {
  throw new CodedError(code, `because of ${code}`);
};

/** An update that is about to be installed by this driver, at a station with these stored fields. */
async function ready(
  t: Test,
  change: (simulated: StationDriver) => Partial<StationDriver>,
  fields: Record<string, string> = {},
) {
  const dir = t.testdir({ spool: { images: {} }, chargers: {} });
  const { bytes, sha256 } = makeImage(10_000);
  writeFileSync(join(dir, 'spool', 'images', sha256), bytes);
  const store = createStore(redis, `faults${++count}`);
  const profile = profileOf({ simulated: { install_ms: 0, reboot_ms: 0 } });
  const simulated = createDriver(profile, { dataDir: join(dir, 'chargers'), redactionKey: undefined });
  const driver: StationDriver = { ...simulated, ...change(simulated) };
  const deps = depsOf({ store, profile, spoolDir: join(dir, 'spool'), driver });
  const context = { now: now(), dialect: 'ocpp2.x', bootEpoch: 0 } as const;
  let record = offeredUpdate(now(), {
    signed: false,
    permission: { bootEpoch: 0, at: Date.now(), by: 'everest' },
    image: { sha256, sizeBytes: bytes.length },
  });
  for (const event of ['confirmed', 'fetchJoined', 'fetched'] as const)
    record = applyUpdateEvent(record, event, context).record;
  await store.commit(
    store
      .transaction()
      .put(record)
      .setStation('cp1', { firstSeenAt: '1', ...fields }),
  );
  const heard: unknown[] = [];
  const install = createInstall(deps, () => ({
    onTransfer: (...amount) => void heard.push(amount),
    onPercent: () => undefined,
  }));
  const work = workOn(deps, { install, confirm: createConfirm(deps) }, record.id);
  const load = async () => (await store.load(record.id)) as FirmwareUpdateRecord;
  return {
    id: record.id,
    image: { path: join(dir, 'spool', 'images', sha256), sha256, sizeBytes: bytes.length },
    simulated,
    heard,
    load,
    /** A worker takes the job that the update wants, once its pause is over; resolves with the update then. */
    async work(): Promise<FirmwareUpdateRecord> {
      await store.commit(store.transaction().put({ ...(await load()), notBefore: 0 }));
      return work();
    },
    waits: async () => waitingOf(await load(), now())?.for,
    outbox: store.keys.outbox('cp1'),
    told: () => statusesIn(store),
    setFields: async (changed: Record<string, string>) =>
      void (await store.commit(store.transaction().setStation('cp1', changed))),
  };
}

const ends = (reason: string) => ({
  state: 'InstallationFailed',
  outcome: { ok: false, reason, message: /because of/ },
});

await t.test(
  'what trying again cannot mend ends at once, with its reason, and the station does nothing later',
  async (t) => {
    for (const code of ['STATION_FULL', 'IMAGE_CHANGED', 'NOT_SUPPORTED', 'ARGUMENT_REFUSED', 'EFFECT_RETIRED']) {
      const station = await ready(t, () => ({ start: fails(code) }));
      t.match(await station.work(), ends(code.toLowerCase()), code);
      t.same(await station.told(), ['Installing', 'InstallationFailed']);
      const late = station.simulated.start({ step: 'install', operationId: station.id, image: station.image }, signal);
      await t.rejects(late, { code: 'EFFECT_RETIRED' }, 'not even by a worker that was frozen');
    }
    for (const code of ['DRIVER_UNUSABLE', 'NOT_SUPPORTED']) {
      const station = await ready(t, () => ({ observe: fails(code) }));
      t.match(await station.work(), ends(code.toLowerCase()), `${code} before the station was touched`);
      t.same(await station.told(), ['InstallationFailed']);
    }
  },
);

await t.test('of an effect that another worker has begun the station alone tells the end', async (t) => {
  let tries = 0;
  const station = await ready(t, (simulated) => ({
    async start(effect, aborted) {
      await simulated.start(effect, aborted);
      if (effect.step === 'install' && ++tries === 1) throw new CodedError('STATION_FULL', 'the other one was faster');
    },
  }));
  t.match(
    await station.work(),
    { state: 'Installing', waitingFor: 'error: the other one was faster' },
    'shown, and tried again',
  );
  t.match(await station.work(), { state: 'InstallRebooting' });
});

await t.test('what a station may recover from is waited for, and shown', async (t) => {
  for (const [code, word] of [
    ['STATION_UNREACHABLE', 'station_unreachable'],
    ['STATION_BUSY', 'station_busy'],
    ['STATION_FAILED', 'error'],
    ['OUTPUT_TOO_LONG', 'error'],
  ] as const) {
    let isWell = false;
    const station = await ready(t, (simulated) => ({
      start: (...args) => (isWell ? simulated.start(...args) : fails(code)()),
    }));
    await station.work();
    const first = await station.work();
    t.match(first, { state: 'Installing', waitingFor: new RegExp(`^${word}`) }, code);
    t.equal(await station.waits(), word);
    const again = await station.work();
    t.equal(again.waitingSince, first.waitingSince, 'since it began');
    isWell = true;
    t.match(await station.work(), { state: 'InstallRebooting', waitingFor: undefined });
  }
  const away = await ready(t, () => ({ observe: fails('STATION_UNREACHABLE') }));
  t.match(await away.work(), { state: 'Downloaded', waitingFor: 'station_unreachable' }, 'before it is touched, too');
});

await t.test('the way of the image to the station is told', async (t) => {
  const station = await ready(t, (simulated) => ({
    start(effect, aborted, onTransfer) {
      onTransfer?.(4000, 10_000);
      return simulated.start(effect, aborted);
    },
  }));
  await station.work();
  t.same(station.heard.at(-1), [4000, 10_000]);
});

await t.test(
  'a station that does not come back from its reboot is shown as away, and judged when it does',
  async (t) => {
    let isAway = true;
    const station = await ready(t, (simulated) => ({
      start: (effect, ...rest) =>
        effect.step === 'reboot' && isAway ? fails('STATION_UNREACHABLE')() : simulated.start(effect, ...rest),
    }));
    await station.work();
    const first = await station.work();
    t.match(first, { state: 'InstallRebooting', waitingFor: 'station_unreachable', rebootBegunAt: Number });
    t.match(await station.work(), { rebootBegunAt: first.rebootBegunAt }, 'it began when it began');
    isAway = false;
    t.match(await station.work(), { state: 'Installed' });
  },
);

const beat = (agoMs = 0) =>
  JSON.stringify({ id: 7, at: Date.now() - agoMs, steadyAt: now().monotonic - agoMs, periodMs: 60_000 });

/**
 * When the broker had what a worker tells before a reboot, and when that began. A worker waits five seconds for the broker: where this
 * process has stood still for most of them, the reboot may rightly have begun without it, and nothing is told (`undefined`).
 */
async function rebootOf(t: Test, beats: boolean): Promise<{ toldAt: number; rebootAt: number } | undefined> {
  let rebootAt = 0;
  const station = await ready(
    t,
    (simulated) => ({
      start(effect, ...rest) {
        if (effect.step === 'reboot') rebootAt ||= performance.now();
        return simulated.start(effect, ...rest);
      },
    }),
    { heartbeat: beat(2000) },
  );
  await station.work();
  t.same(await station.told(), ['Installing', 'InstallRebooting']);
  const workedFrom = performance.now();
  const work = station.work();
  await pause(300);
  const begunBefore = rebootAt;
  const toldAt = performance.now();
  await redis.del(station.outbox);
  if (beats) await station.setFields({ heartbeat: beat() });
  await work;
  if (toldAt - workedFrom > 4000) return undefined;
  t.equal(begunBefore, 0, 'not before the broker has it');
  return { toldAt, rebootAt };
}

await t.test('the reboot begins once the broker has InstallRebooting, and a heartbeat or a second later', async (t) => {
  const runs: [string, boolean, (toldMs: number, rebootMs: number) => boolean][] = [
    ['a second later', false, (toldMs, rebootMs) => rebootMs - toldMs >= 990],
    ['a heartbeat later', true, (toldMs, rebootMs) => rebootMs >= toldMs],
  ];
  for (const [what, beats, isRight] of runs) {
    const { toldAt, rebootAt } = await awaitUntil(
      () => rebootOf(t, beats),
      30_000,
      'a round that no standstill spoils',
    );
    t.ok(isRight(toldAt, rebootAt), `${what}: ${Math.round(rebootAt - toldAt)} ms`);
  }
});
