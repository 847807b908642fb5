/** Downloads within the limits of the link: real origins on loopback, real Redis, a clock that is set by hand. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join as joinPath } from 'node:path';
import { createArtifactRecords } from '@khumbu/operations/artifacts/artifact-records';
import { broughtKey } from '@khumbu/operations/artifacts/brought-key';
import { expectedJob } from '@khumbu/operations/jobs/expected-job';
import { createJobLoop } from '@khumbu/operations/jobs/job-loop';
import { newFetch } from '@khumbu/operations/kinds/firmware-fetch/record';
import { pauseByOperator, resumeByOperator } from '@khumbu/operations/kinds/firmware-update/hold-download';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { waitingOf } from '@khumbu/operations/kinds/kinds';
import { createStore } from '@khumbu/operations/kinds/store';
import { subscribeNotifications } from '@khumbu/operations/records/notifications';
import type { WanRules } from '@khumbu/operations/wan/settings';
import { openWanMeter } from '@khumbu/operations/wan/wan-meter';
import { createWanStore } from '@khumbu/operations/wan/wan-store';
import { OtaWorkerSettings } from '@khumbu/ota-worker/config';
import { createDownload } from '@khumbu/ota-worker/images/download';
import { createLocationPolicy } from '@khumbu/shared/locations/policy';
import { locationRules } from '@khumbu/shared/locations/settings';
import { loadConfig } from '@khumbu/shared/runtime/config';
import { createLogger } from '@khumbu/shared/runtime/logger';
import { createDownloadGate } from '@khumbu/steps/firmware-update/download-gate';
import { createFetch } from '@khumbu/steps/firmware-update/fetch';
import { createWaiters } from '@khumbu/steps/firmware-update/fetch-waiters';
import { createJoinFetch } from '@khumbu/steps/firmware-update/join-fetch';
import { startWaking, whoMayGoOn } from '@khumbu/steps/firmware-update/wake-held';
import { awaitUntil } from '@khumbu/test-support/events';
import { openRedis } from '@khumbu/test-support/redis';
import t, { type Test } from 'tap';
import { handlerOrigin } from './handler-origin.js';
import { depsOf, NO_METER, offeredUpdate, profileOf } from './update-stage.js';

const { redis } = await openRedis(t, t.testdir({ redis: {} }));
const log = createLogger('test', 'silent');
const signal = AbortSignal.timeout(600_000);
const HOUR = 3600_000;
const MIB = 1024 * 1024;
const IMAGE = randomBytes(3 * MIB);
/** So much of it comes again when it is gone on with, to be compared. */
const OVERLAP = 64 * 1024;
const PATIENCE_MS = 20_000;

/** Serves the image; the first answer falls silent after `holdAt` bytes. `etag` null: nobody can go on, and all do. */
function holdingOrigin(t: Test, holdAt: number, etag: string | null = '"a"') {
  const starts: number[] = [];
  let sent = 0;
  return handlerOrigin(t, (request, response: ServerResponse) => {
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    starts.push(start);
    const size = IMAGE.length - start;
    const range = start > 0 ? { 'content-range': `bytes ${start}-${IMAGE.length - 1}/${IMAGE.length}` } : {};
    const version = etag === null ? {} : { etag };
    response.writeHead(start > 0 ? 206 : 200, { ...version, 'content-length': size, ...range });
    const isHeld = starts.length === 1 || etag === null;
    const body = isHeld ? IMAGE.subarray(0, holdAt) : IMAGE.subarray(start);
    sent += body.length;
    if (isHeld) response.write(body);
    else response.end(body);
  }).then(({ url }) => ({ url, starts, sent: () => sent }));
}

async function stage(t: Test, rules: Partial<WanRules> = {}) {
  const wanRules: WanRules = { timeZone: 'UTC', windows: [], startSpreadS: 0, ...rules };
  const spoolDir = t.testdir({});
  const store = createStore(redis, t.name.replaceAll(/\W/g, ''));
  const clock = { shift: 0 };
  const now = () => ({ wall: Date.now() + clock.shift, monotonic: Date.now() + clock.shift });
  const notifications = await subscribeNotifications(redis.duplicate(), store.keys);
  const wan = createWanStore(redis, store.keys, wanRules, now);
  const meter = openWanMeter({ redis, keys: store.keys, now }, wan, wanRules, log);
  const config = loadConfig(OtaWorkerSettings, { SPOOL_DIR: spoolDir, ALLOW_LOOPBACK_LOCATIONS: 'true' });
  const locations = locationRules(config);
  const deps = depsOf({ store, profile: profileOf({ dialect: 'ocpp2.x' }), spoolDir, now });
  const artifacts = createArtifactRecords(redis, store.keys, Date.now);
  const isHere = async (location: string): Promise<boolean> =>
    (await artifacts.broughtFor(broughtKey(location, () => []))) !== undefined;
  const gate = createDownloadGate({ wan, rules: wanRules, retries: { tries: 3, maxRetryAfterS: 900 }, isHere });
  const fetch = createFetch({
    ...deps,
    notifications,
    gate,
    meter,
    download: createDownload({ config, rules: locations, objects: undefined, makeRoom: async () => 0, meter }),
    listLeftParts: async () => async () => undefined,
    progress: () => () => undefined,
    artifacts,
    ignored: () => [],
    reuseUnaskedMs: 0,
    minBytes: 1,
    retries: { tries: 3, retryIntervalS: 0, maxRetryAfterS: 900 },
  });
  const join = createJoinFetch(deps, () => [], createLocationPolicy(locations), gate);
  const loop = createJobLoop({ steps: { download: join, fetch }, store, jobs: deps.jobs, log, now });
  t.teardown(async () => {
    notifications.close();
    await meter.stop();
  });

  /** A worker takes the job that a record wants now, until it wants another one, or none. */
  const work = async (id: string, until = signal): Promise<void> => {
    while (!until.aborted) {
      const record = await store.load(id);
      const job = record && expectedJob(record);
      if (!job || (job.notBefore ?? 0) > now().monotonic) return;
      await loop({ jobId: job.jobId, name: job.name, operationId: id, isOurs: async () => true }, until);
    }
  };
  const load = async (id: string) => (await store.load(id)) as FirmwareUpdateRecord;
  return {
    store,
    artifacts,
    spoolDir,
    wan,
    meter,
    clock,
    now,
    work,
    load,
    /** Some of its image has come. */
    async partOf(id: string): Promise<void> {
      const fetchId = (await load(id)).fetch?.id ?? '';
      await awaitUntil(() => meter.receivedOf(fetchId) >= MIB / 4, PATIENCE_MS, 'a part to come');
    },
    waker: () => startWaking({ store, jobs: deps.jobs, now, wan, artifacts, notifications, log }),
    /** An update is accepted. */
    async accept(location: string): Promise<string> {
      const update = offeredUpdate(now(), {
        state: 'Accepted',
        signed: false,
        tries: 0,
        request: { location, request_id: 7 },
      });
      await store.commit(store.transaction().put(update));
      return update.id;
    },
    /** Its fetch, as long as it runs. */
    fetching: async (id: string, until?: AbortSignal) => work((await load(id)).fetch?.id ?? '', until),
    statuses: async () =>
      (await store.outboxEntries('cp1')).map(
        ({ payload }) => (payload as { firmware_update_status: string }).firmware_update_status,
      ),
  };
}
/** So that the depot's clock shows this hour, of a day whose next ones are in the same month: bytes are counted by the month. */
const shiftTo = (hour: number): number => {
  const date = new Date();
  date.setUTCDate(10);
  date.setUTCHours(hour, 0, 0, 0);
  return date.getTime() - Date.now();
};

void t.test('a window that closes stops a download, which goes on where it stopped when it opens', async (t) => {
  const depot = await stage(t, { windows: [{ begin: '22:00', end: '06:00' }] });
  const { clock, work, load, fetching, statuses } = depot;
  const origin = await holdingOrigin(t, MIB);
  clock.shift = shiftTo(21);
  const id = await depot.accept(origin.url);
  await work(id);
  t.same(await statuses(), ['DownloadScheduled']);
  t.match(waitingOf(await load(id), depot.now()), { for: 'download_window', liftedBy: ['time', 'operator'] });
  t.equal(origin.starts.length, 0);

  clock.shift += 1.5 * HOUR;
  await work(id);
  t.match(await load(id), { state: 'Downloading', tries: 1 });
  const run = fetching(id);
  await depot.partOf(id);
  clock.shift += 8 * HOUR;
  await run;
  await work(id);
  const paused = await load(id);
  t.match(paused, { state: 'Downloading', downloadPaused: true, tries: 0 });
  const { wanBytes = 0, bytesToCome = 0 } = paused;
  t.ok(wanBytes > 0 && wanBytes <= MIB, `${wanBytes} bytes came`);
  t.ok(bytesToCome >= IMAGE.length - wanBytes && bytesToCome < IMAGE.length, `${bytesToCome} are to come`);
  t.equal(paused.fetch, undefined);
  t.same(await statuses(), ['DownloadScheduled', 'Downloading', 'DownloadPaused']);

  clock.shift += 16 * HOUR;
  await work(id);
  await fetching(id);
  t.match(await load(id), { state: 'Downloaded', image: { sizeBytes: IMAGE.length } });
  t.same(await statuses(), ['DownloadScheduled', 'Downloading', 'DownloadPaused', 'Downloading', 'Downloaded']);
  t.same(origin.starts, [0, wanBytes - OVERLAP], 'nothing else comes twice');
  await depot.meter.stop();
  t.match((await depot.wan.look()).month, { down: IMAGE.length + OVERLAP, up: 0 }, 'each byte is counted as it came');
});

void t.test('what would exceed the month stops once its size is known, and goes on with a larger budget', async (t) => {
  const depot = await stage(t, { monthBudgetBytes: 2 * MIB });
  depot.clock.shift = shiftTo(12);
  const { work, load, fetching } = depot;
  const origin = await holdingOrigin(t, MIB / 4);
  const id = await depot.accept(origin.url);
  await work(id);
  await fetching(id);
  await work(id);
  const waiting = await load(id);
  t.match(waiting, { downloadPaused: true, wanBytes: Number });
  t.ok((waiting.bytesToCome ?? 0) > 2 * MIB);
  t.match(waitingOf(waiting, depot.now()), {
    for: 'month_budget',
    liftedBy: ['operator', 'time'],
    afterwards: 'goes_on',
  });
  t.same([...(await depot.wan.look()).month.reserved], [], 'it has no claim any more');

  const waker = depot.waker();
  t.teardown(() => waker.stop());
  // Its first look wakes all: another window may have been set. It is asked, and nothing has changed.
  await awaitUntil(async () => (await load(id)).notBefore === undefined, PATIENCE_MS, 'the first look');
  await work(id);
  t.match(await load(id), { waitingFor: 'month_budget', waitingSince: waiting.waitingSince });
  await depot.wan.setBudget(4 * MIB, 'alice');
  await awaitUntil(async () => (await load(id)).notBefore === undefined, PATIENCE_MS, 'it to be woken');
  await work(id);
  await fetching(id);
  t.match(await load(id), { state: 'Downloaded' });
  t.same(origin.starts, [0, Math.max(0, (waiting.wanBytes ?? 0) - OVERLAP)]);
});

void t.test(
  'an image that is brought in by hand waits for no window and no budget: nothing comes for it',
  async (t) => {
    const closed = { windows: [{ begin: '22:00', end: '06:00' }], startSpreadS: 3600 };
    const depot = await stage(t, { ...closed, updateBudgetBytes: 1, monthBudgetBytes: 1 });
    const { work, load, fetching } = depot;
    const origin = await holdingOrigin(t, MIB);
    depot.clock.shift = shiftTo(12);
    const early = await depot.accept(origin.url);
    await work(early);
    t.match(await load(early), { waitingFor: 'download_window' });
    const waker = depot.waker();
    t.teardown(() => waker.stop());
    await awaitUntil(async () => (await load(early)).notBefore === undefined, PATIENCE_MS, 'the first look');
    await work(early);
    t.match(await load(early), { waitingFor: 'download_window' });

    const sha256 = createHash('sha256').update(IMAGE).digest('hex');
    mkdirSync(joinPath(depot.spoolDir, 'images'), { recursive: true });
    writeFileSync(joinPath(depot.spoolDir, 'images', sha256), IMAGE);
    const locationKey = broughtKey(origin.url, () => []);
    const image = { sha256, sizeBytes: IMAGE.length, md5: 'm' };
    await depot.artifacts.bring({ ...image, by: 'upload', from: 'stick', locationKey });
    await awaitUntil(async () => (await load(early)).notBefore === undefined, PATIENCE_MS, 'it to be woken');
    const late = await depot.accept(origin.url);
    for (const id of [early, late]) {
      await work(id);
      await fetching(id);
      t.match(await load(id), { state: 'Downloaded', image: { sha256 } });
    }
    t.same(origin.starts, []);
    t.match((await depot.wan.look()).month, { down: 0 });
  },
);

void t.test(
  'what a running download leaves free from moment to moment wakes only those for whom it is enough',
  async (t) => {
    const depot = await stage(t, { monthBudgetBytes: 100 });
    const seen = async (down: number) => {
      const facts = await depot.wan.look();
      return { depot: { ...facts, month: { ...facts.month, down } }, brought: {} };
    };
    const [before, after] = [await seen(60), await seen(50)];
    const mayGoOn = whoMayGoOn(before, after);
    t.equal(mayGoOn?.({ waitingFor: 'month_budget', bytesToCome: 50 }), true);
    t.equal(mayGoOn?.({ waitingFor: 'month_budget' }), true);
    t.equal(mayGoOn?.({ waitingFor: 'month_budget', bytesToCome: 51 }), false);
    t.equal(mayGoOn?.({ waitingFor: 'download_window' }), false);
    t.equal(whoMayGoOn(after, before), undefined);
  },
);

void t.test('an image that has as many bytes as its update may fetch is not stopped on its way', async (t) => {
  const depot = await stage(t, { updateBudgetBytes: 100 });
  const gate = createDownloadGate({
    wan: depot.wan,
    rules: { updateBudgetBytes: 100 },
    retries: { tries: 3, maxRetryAfterS: 900 },
    isHere: async () => false,
  });
  const fetch = newFetch('firmware-fetch-1', 'http://h/f', depot.now());
  const update = offeredUpdate(depot.now(), {
    state: 'Downloading',
    fetch: { id: fetch.id, generation: fetch.generation },
  });
  await depot.store.commit(depot.store.transaction().put(update));
  let received = 0;
  const { whileWanted } = createWaiters({
    store: depot.store,
    notifications: { on: () => () => undefined, close: () => undefined },
    progress: () => () => undefined,
    gate,
    meter: { ...NO_METER, receivedOf: () => received },
  });
  const run = whileWanted({ ...fetch, waiters: [update.id] }, signal, log);
  received = 40;
  run.onProgress(40, 100);
  // Bytes are counted sooner than they are told to be on their way.
  received = 70;
  await run.begin();
  t.notOk(run.isPaused());
  received = 101;
  run.onProgress(99, 100);
  await run.begin();
  t.ok(run.isPaused(), 'one byte more');
  await run.end();
});

void t.test('what a worker brought that was lost counts against the budget of the update', async (t) => {
  const depot = await stage(t, { updateBudgetBytes: IMAGE.length + MIB });
  const { store, work, load, fetching } = depot;
  const origin = await holdingOrigin(t, 2 * MIB, null);
  const id = await depot.accept(origin.url);
  await work(id);
  const { id: fetchId = '', generation = 0 } = (await load(id)).fetch ?? {};
  const killed = new AbortController();
  const run = fetching(id, killed.signal);
  await awaitUntil(() => depot.meter.receivedOf(fetchId) >= 1.5 * MIB, PATIENCE_MS, 'half of it to come');
  killed.abort(new Error('killed'));
  await run;
  t.equal((await load(id)).wanBytes, undefined, 'nobody has told what came');

  await fetching(id);
  await work(id);
  const waiting = await load(id);
  t.match(waitingOf(waiting, depot.now()), { for: 'update_budget', liftedBy: ['operator'] });
  t.ok((waiting.wanBytes ?? 0) >= 1.5 * MIB, `${waiting.wanBytes} bytes came`);
  const { createdAt = 0 } = (await store.load(fetchId, 'firmware_fetch')) ?? {};
  t.ok(createdAt > 0, 'its record is there');
  t.equal(await depot.wan.broughtBy({ fetchId, createdAt, generation }), 0, 'the update has them now');
});

void t.test('of two updates of one image, one that is paused leaves the other its download', async (t) => {
  const depot = await stage(t);
  const { store, work, load, fetching } = depot;
  const origin = await holdingOrigin(t, MIB);
  const [one, two] = [await depot.accept(origin.url), await depot.accept(origin.url)];
  const context = () => ({ now: depot.now(), dialect: 'ocpp2.x' as const, bootEpoch: 0 });
  const pause = async (id: string): Promise<void> => {
    const paused = pauseByOperator(await load(id), 'alice', context());
    if (!paused) throw new Error('too late');
    await store.commit(store.transaction().put(paused.record).notifyCancel(id));
  };
  await work(one);
  await work(two);
  const run = fetching(one);
  await depot.partOf(one);
  await pause(one);
  const fetchId = (await load(two)).fetch?.id ?? '';
  t.match(await store.load(fetchId), { state: 'Fetching' });
  await pause(two);
  await run;
  t.match(await store.load(fetchId), { state: 'Resting' }, 'nobody is left');
  for (const id of [one, two]) {
    await work(id);
    t.match(waitingOf(await load(id), depot.now()), { for: 'operator_pause', liftedBy: ['operator'] });
  }
  const resumed = resumeByOperator(await load(two), depot.now());
  if (!resumed) throw new Error('too late');
  await store.commit(store.transaction().put(resumed));
  await work(two);
  await fetching(two);
  t.match(await load(two), { state: 'Downloaded' });
  t.match(await load(one), { state: 'Downloading', downloadPaused: true });
  t.equal(origin.starts.length, 2);
  t.ok((origin.starts[1] ?? 0) > MIB / 4, 'it went on where the two had stopped');
});

void t.test('a server that asked for peace is left in peace by its other locations', async (t) => {
  const depot = await stage(t);
  const { work, load, fetching, clock } = depot;
  let asked = 0;
  const { url } = await handlerOrigin(t, (_request, response) => {
    asked += 1;
    if (asked === 1) return void response.writeHead(503, { 'retry-after': '60' }).end();
    response.writeHead(200, { etag: '"a"' }).end(IMAGE);
  });
  const [one, two] = [await depot.accept(`${url}/one`), await depot.accept(`${url}/two`)];
  await work(one);
  await fetching(one);
  t.match(await load(one), { state: 'Downloading', waitingFor: 'retry_after' });
  await work(two);
  t.match(await load(two), { state: 'Accepted', waitingFor: 'retry_after' }, 'silently');
  t.equal(asked, 1);
  clock.shift += 61_000;
  for (const id of [one, two]) {
    await work(id);
    await fetching(id);
    t.match(await load(id), { state: 'Downloaded' });
  }
});

void t.test('peace that is asked for beyond every deadline is kept for a quarter of an hour', async (t) => {
  const depot = await stage(t);
  const { work, load, fetching, clock } = depot;
  let asked = 0;
  const { url } = await handlerOrigin(t, (request, response) => {
    asked += 1;
    if (request.url === '/one') return void response.writeHead(503, { 'retry-after': '99999999999' }).end();
    response.writeHead(200, { etag: '"a"' }).end(IMAGE);
  });
  const [one, two] = [await depot.accept(`${url}/one`), await depot.accept(`${url}/two`)];
  await work(one);
  await fetching(one);
  t.match(await load(one), { state: 'Downloading', waitingFor: 'retry_after' });
  await work(two);
  t.match(await load(two), { state: 'Accepted', waitingFor: 'retry_after' });
  t.equal(asked, 1);
  clock.shift += 901_000;
  await work(two);
  await fetching(two);
  t.match(await load(two), { state: 'Downloaded' });
});

void t.test('downloads in threads share the rate, and their bytes are counted', async (t) => {
  const rate = 2 * MIB;
  const depot = await stage(t, { rateBytesPerS: rate });
  depot.clock.shift = shiftTo(12);
  const { url } = await handlerOrigin(t, (_request, response) => response.writeHead(200, { etag: '"a"' }).end(IMAGE));
  const ids = [await depot.accept(`${url}/a`), await depot.accept(`${url}/b`)];
  for (const id of ids) await depot.work(id);
  const began = performance.now();
  await Promise.all(ids.map((id) => depot.fetching(id)));
  const tookMs = performance.now() - began;
  for (const id of ids) t.match(await depot.load(id), { state: 'Downloaded' });
  const leastMs = ((2 * IMAGE.length) / rate) * 1000;
  t.ok(tookMs >= leastMs * 0.8, `6 MiB took ${tookMs} ms`);
  await depot.meter.stop();
  t.equal((await depot.wan.look()).month.down, 2 * IMAGE.length);
});
