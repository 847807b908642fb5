/** An update judged by the certificate store of EVerest: the product's steps, a real Redis, a stand-in for the leader. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import {
  certificateText,
  hasAnswered,
  type LeafAnswers,
  type StoreAnswers,
  worseThan,
} from '@khumbu/operations/kinds/firmware-update/certificates';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { applyUpdateEvent } from '@khumbu/operations/kinds/firmware-update/transition';
import { waitingOf } from '@khumbu/operations/kinds/kinds';
import { createStore } from '@khumbu/operations/kinds/store';
import { subscribeNotifications } from '@khumbu/operations/records/notifications';
import { createDriver } from '@khumbu/station-drivers/create-driver';
import { judgeCertificates, seenBack } from '@khumbu/steps/firmware-update/certificates';
import { createConfirm } from '@khumbu/steps/firmware-update/confirm';
import { createInstall } from '@khumbu/steps/firmware-update/install';
import { makeImage } from '@khumbu/test-support/firmware';
import { openRedis } from '@khumbu/test-support/redis';
import t, { type Test } from 'tap';
import { depsOf, offeredUpdate, profileOf, STATION, statusesIn, workOn } from './update-stage.js';

const { redis } = await openRedis(t, t.testdir({}));
let count = 0;

await t.test('what is worse than before', (t) => {
  const cases: readonly (readonly [LeafAnswers, LeafAnswers, readonly string[]])[] = [
    [{}, {}, []],
    [{ CSMS: 'Accepted', V2G: 'NotFound' }, { CSMS: 'Accepted', V2G: 'NotFound' }, []],
    [{ CSMS: 'NotFound' }, { CSMS: 'Accepted' }, []],
    [{ CSMS: 'NotFound' }, { CSMS: 'NotFoundValid' }, []],
    [{ CSMS: 'Accepted' }, { CSMS: 'NotFoundValid' }, ['CSMS']],
    [{ CSMS: 'Accepted' }, { CSMS: 'PrivateKeyNotFound' }, ['CSMS']],
    [{ CSMS: 'Accepted', V2G: 'Accepted' }, {}, ['CSMS', 'V2G']],
    [{ V2G: 'NotFound' }, {}, ['V2G']],
    [{}, { CSMS: 'NotFound' }, []],
  ];
  for (const [before, after, worse] of cases) t.same(worseThan(before, after), worse, JSON.stringify([before, after]));
  t.equal(certificateText(['CSMS', 'V2G'], { V2G: 'NotFound' }), 'CSMS: no answer, V2G: NotFound');
  t.same(
    [hasAnswered(undefined), hasAnswered({}), hasAnswered({ CSMS: 'NotFound' }), hasAnswered('ambiguous')],
    [false, false, true, false],
  );
  t.end();
});

await t.test('how long is waited for the store', (t) => {
  const before = { CSMS: 'Accepted' };
  const judge = (backAt: number | undefined, answers: StoreAnswers | undefined, monotonicNow: number) =>
    judgeCertificates({ before, ...(backAt === undefined ? {} : { backAt }) }, answers, {
      answerWithinMs: 100,
      monotonicNow,
    }).verdict;
  t.equal(judge(undefined, { CSMS: 'Accepted' }, 1000), 'wait', 'EVerest is not back');
  t.equal(judge(0, undefined, 1000), 'wait', 'nobody has asked, however long ago it came back');
  t.equal(judge(0, {}, 99), 'wait');
  t.equal(judge(0, { CSMS: 'NotFound' }, 99), 'wait');
  t.equal(judge(0, { CSMS: 'Accepted' }, 99), 'as_before');
  t.equal(judge(0, { CSMS: 'Accepted' }, 5000), 'as_before');
  t.equal(judge(0, { CSMS: 'NotFound' }, 100), 'worse');
  t.equal(judge(0, 'ambiguous', 1), 'as_before', 'nobody can ask: that is no fault of the image');

  const heartbeat = (steadyAt: number, id = 7) => ({ heartbeat: { id, at: 0, steadyAt }, communication: undefined });
  const back = (state: Parameters<typeof seenBack>[1], backAt?: number) =>
    seenBack({ before, bootedAt: 100, ...(backAt === undefined ? {} : { backAt }) }, state, 500);
  t.equal(back(heartbeat(100)), undefined, 'a heartbeat of the boot before');
  t.equal(back(heartbeat(101)), 500);
  t.equal(back(heartbeat(101, -1)), undefined, 'a boot whose first heartbeat is to come');
  t.equal(back(heartbeat(101), 300), 300, 'as it was seen first');
  t.equal(back({ heartbeat: undefined, communication: undefined }), 100, 'it never beats');
  t.end();
});

/** A station that names its module, an update that is about to be installed, and a leader that answers as `says` does. */
async function ready(t: Test, says: () => LeafAnswers | undefined) {
  const dir = t.testdir({ spool: { images: {} }, chargers: {} });
  const store = createStore(redis, `certificates${++count}`);
  let aheadMs = 0;
  const now = () => momentOf(Date.now() + aheadMs);
  const leader = redis.duplicate();
  t.teardown(() => leader.disconnect());
  (await subscribeNotifications(leader, store.keys)).on('certificates', (subject) => {
    const [question = ''] = subject.split(' ');
    const answers = says();
    const stored = JSON.stringify({ question, at: 0, answers });
    if (answers) void store.commit(store.transaction().setStation(STATION, { certificateStore: stored }));
  });
  const { bytes, sha256 } = makeImage(10_000);
  writeFileSync(join(dir, 'spool', 'images', sha256), bytes);
  const profile = profileOf({
    simulated: { install_ms: 0, reboot_ms: 0 },
    evse_security: { module_id: 'certs' },
  });
  const driver = createDriver(profile, { dataDir: join(dir, 'chargers'), redactionKey: undefined });
  const deps = depsOf({ store, profile, spoolDir: join(dir, 'spool'), driver, now });
  let record = offeredUpdate(now(), {
    signed: false,
    permission: { bootEpoch: 0, at: Date.now(), by: 'everest' },
    image: { sha256, sizeBytes: bytes.length },
  });
  for (const event of ['confirmed', 'fetchJoined', 'fetched'] as const)
    record = applyUpdateEvent(record, event, { now: now(), dialect: 'ocpp2.x', bootEpoch: 0 }).record;
  await store.commit(store.transaction().put(record).setStation(STATION, { firstSeenAt: '1' }));
  const work = workOn(deps, { install: createInstall(deps), confirm: createConfirm(deps) }, record.id);
  const load = async () => (await store.load(record.id)) as FirmwareUpdateRecord;
  return {
    async work(): Promise<FirmwareUpdateRecord> {
      await store.commit(store.transaction().put({ ...(await load()), notBefore: 0 }));
      return work();
    },
    passes: (ms: number): void => {
      aheadMs += ms;
    },
    waits: async () => waitingOf(await load(), now())?.for,
    told: () => statusesIn(store),
  };
}

const FAILED = ['Installing', 'InstallRebooting', 'InstallationFailed'];

await t.test('a store that has lost a certificate', async (t) => {
  let says: LeafAnswers = { CSMS: 'Accepted', V2G: 'NotFound' };
  const station = await ready(t, () => says);
  t.match(await station.work(), { state: 'InstallRebooting', certificates: { before: says } });
  says = { CSMS: 'NotFound', V2G: 'NotFound' };
  t.match(await station.work(), { state: 'InstallRebooting' });
  t.equal(await station.waits(), 'certificate_store');
  station.passes(60_000);
  t.match(await station.work(), { state: 'InstallRebooting' });
  station.passes(60_000);
  t.match(await station.work(), {
    outcome: { ok: false, reason: 'certificate_store', message: /CSMS: Accepted.*CSMS: NotFound/ },
  });
  t.same(await station.told(), FAILED);
});

await t.test('a store that takes its time', async (t) => {
  let says: LeafAnswers = { CSMS: 'Accepted' };
  const station = await ready(t, () => says);
  await station.work();
  says = {};
  t.match(await station.work(), { state: 'InstallRebooting' });
  says = { CSMS: 'Accepted' };
  t.match(await station.work(), { state: 'Installed', outcome: { ok: true } });
});

await t.test('a store that did not answer before is not judged', async (t) => {
  const station = await ready(t, () => ({}));
  t.notOk('certificates' in (await station.work()));
  t.match(await station.work(), { state: 'Installed' });
});
