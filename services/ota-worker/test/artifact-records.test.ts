/** What is known of images follows what fetches, updates, sweeps and lost disks do: the product's steps, a real Redis. */
import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mendRecords } from '@khumbu/artifacts/mend-records';
import type { ArtifactPlace } from '@khumbu/artifacts/place';
import { removeArtifact } from '@khumbu/artifacts/remove-artifact';
import { ownsImages, tellSpool } from '@khumbu/artifacts/spool-id';
import { spoolPlace } from '@khumbu/artifacts/spool-place';
import { storePlace } from '@khumbu/artifacts/store-place';
import { sweepStore } from '@khumbu/artifacts/sweep-store';
import { createObjectStore } from '@khumbu/object-store/object-store';
import { createArtifactRecords, noteGiven, noteObtained } from '@khumbu/operations/artifacts/artifact-records';
import { broughtKey } from '@khumbu/operations/artifacts/brought-key';
import { createNeededBy } from '@khumbu/operations/artifacts/needed-by';
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { expectedJob } from '@khumbu/operations/jobs/expected-job';
import { createJobLoop } from '@khumbu/operations/jobs/job-loop';
import { fetchKey, joinFetch, newFetch } from '@khumbu/operations/kinds/firmware-fetch/record';
import { applyUpdateEvent } from '@khumbu/operations/kinds/firmware-update/transition';
import { createStore } from '@khumbu/operations/kinds/store';
import { artifactLocation } from '@khumbu/shared/locations/artifact-location';
import { createLogger } from '@khumbu/shared/runtime/logger';
import { createFetch } from '@khumbu/steps/firmware-update/fetch';
import type { Downloaded } from '@khumbu/steps/firmware-update/image-ports';
import { makeImage } from '@khumbu/test-support/firmware';
import { openRedis } from '@khumbu/test-support/redis';
import { startS3 } from '@khumbu/test-support/s3';
import t, { type Test } from 'tap';
import { depsOf, ONE_FETCH, offeredUpdate, profileOf } from './update-stage.js';

const now = () => momentOf(Date.now());
const wall = (): number => Date.now();
const signal = AbortSignal.timeout(600_000);
const { redis } = await openRedis(t, t.testdir({}));
const { bytes, sha256 } = makeImage(50_000);
const MD5 = createHash('md5').update(bytes).digest('hex');
const LOCATION = 'http://user:secret@files.example/fw.bin?token=1';
const context = { now: now(), dialect: 'ocpp2.x', bootEpoch: 0 } as const;
let count = 0;

function stage(t: Test) {
  const spoolDir = t.testdir({ images: {} });
  const store = createStore(redis, `artifacts${++count}`);
  const records = createArtifactRecords(redis, store.keys, wall);
  const place = spoolPlace(spoolDir);
  const deps = depsOf({ store, profile: profileOf({}), spoolDir });
  const path = join(spoolDir, 'images', sha256);
  let downloads = 0;
  /** What happens in the middle of a download. */
  let meanwhile: () => Promise<void> = async () => undefined;
  const fetch = createFetch({
    ...deps,
    ...ONE_FETCH,
    async download(_location, _key, known): Promise<Downloaded> {
      downloads += 1;
      if (known?.etag !== undefined) {
        await meanwhile();
        return { kind: 'unchanged' };
      }
      writeFileSync(path, bytes);
      await meanwhile();
      return { kind: 'fetched', path, sizeBytes: bytes.length, sha256, md5: MD5, etag: '"1"' };
    },
    listLeftParts: async () => async () => undefined,
    artifacts: records,
  });
  const loop = createJobLoop({ steps: { fetch }, store, jobs: deps.jobs, log: createLogger('test', 'silent'), now });

  /** These updates want this location, and a worker fetches it. Resolves with the updates afterwards. */
  const want = async (location: string, stations: readonly string[]) => {
    const { id, location: plain } = fetchKey(location, []);
    let record = (await store.load(id, 'firmware_fetch')) ?? newFetch(id, plain, now());
    const transaction = store.transaction();
    const ids: string[] = [];
    for (const station of stations) {
      const update = offeredUpdate(now(), {
        id: `firmware-update-${randomUUID()}`,
        station,
        signed: false,
        request: { location, request_id: 7 },
      });
      const accepted = applyUpdateEvent(update, 'confirmed', context).record;
      const joined = joinFetch(record, update.id, plain, now());
      record = joined.fetch;
      const detail = { set: { fetch: { id, generation: joined.generation } } };
      transaction.put(applyUpdateEvent(accepted, 'fetchJoined', context, detail).record);
      ids.push(update.id);
    }
    await store.commit(transaction.put(record));
    const job = expectedJob((await store.load(id)) ?? record);
    if (!job) throw new Error('no job');
    await loop({ jobId: job.jobId, name: job.name, operationId: id, isOurs: async () => true }, signal);
    const delivering = await store.load(id);
    const next = delivering && expectedJob(delivering);
    if (next) await loop({ jobId: next.jobId, name: next.name, operationId: id, isOurs: async () => true }, signal);
    return store.loadMany(ids, 'firmware_update');
  };
  return {
    spoolDir,
    store,
    records,
    place,
    path,
    want,
    downloads: () => downloads,
    during: (act: () => Promise<void>): void => {
      meanwhile = act;
    },
    neededBy: createNeededBy(store, records, () => []),
  };
}

void t.test('a fetch for many stations and its reuse are counted once each', async (t) => {
  const { want, records, downloads } = stage(t);
  const first = await want(LOCATION, ['cp1', 'cp2', 'cp3']);
  t.same(
    first.map(({ state }) => state),
    ['Downloaded', 'Downloaded', 'Downloaded'],
  );
  t.match(await records.find(sha256), {
    sizeBytes: bytes.length,
    md5: MD5,
    uses: 3,
    bytesSaved: 2 * bytes.length,
    stationCount: 3,
    isBrought: false,
    sources: [{ by: 'fetched', from: 'http://files.example/fw.bin' }],
  });
  await want(LOCATION, ['cp4']);
  t.match(await records.find(sha256), { uses: 4, bytesSaved: 3 * bytes.length, stationCount: 4 });
  t.equal(downloads(), 2, 'the origin was asked whether it is unchanged');
});

void t.test('what was brought in is used for its location and by its own, and no origin is asked', async (t) => {
  const { want, records, path, downloads, store, neededBy, place } = stage(t);
  writeFileSync(path, bytes);
  const locationKey = broughtKey('http://FILES.example:80/fw.bin?token=1#x', () => []);
  const image = { sha256, sizeBytes: bytes.length };
  await records.bring({ ...image, md5: 'm', by: 'folder', from: 'fw.bin', locationKey });
  const [byLocation] = await want(LOCATION, ['cp1']);
  const [byName] = await want(artifactLocation(sha256), ['cp2']);
  t.match(
    [byLocation, byName],
    [
      { state: 'Downloaded', image },
      { state: 'Downloaded', image },
    ],
  );
  t.equal(downloads(), 0);
  t.match(await records.find(sha256), { isBrought: true, uses: 2, bytesSaved: 2 * bytes.length });
  const removal = await removeArtifact({ records, place, neededBy }, sha256, signal);
  t.same(removal, { kind: 'kept', operations: [byLocation?.id, byName?.id] });
  t.ok(existsSync(path));

  const [absent] = await want(artifactLocation('f'.repeat(64)), ['cp3']);
  t.match(absent, { state: 'DownloadFailed', outcome: { reason: 'image_missing' } });
  for (const update of await store.loadMany(await store.openIds(), 'firmware_update'))
    await store.commit(store.transaction().put(applyUpdateEvent(update, 'imageLost', context).record));
  t.same(await removeArtifact({ records, place, neededBy }, sha256, signal), { kind: 'removed' });
  t.same(
    [existsSync(path), await records.find(sha256), await records.broughtFor(locationKey)],
    [false, undefined, undefined],
  );
  const [fetched] = await want(LOCATION, ['cp4']);
  t.match([fetched?.state, downloads()], ['Downloaded', 1], 'now it comes from its origin');
});

void t.test(
  'an image that is removed while a fetch reuses it is fetched again, and given to no update that lacks it',
  async (t) => {
    const stages = stage(t);
    const { want, records, path, place, during, downloads } = stages;
    await want(LOCATION, ['cp1']);
    for (const update of await stages.store.loadMany(await stages.store.openIds(), 'firmware_update'))
      await stages.store.commit(stages.store.transaction().put(applyUpdateEvent(update, 'imageLost', context).record));
    let removed = 0;
    during(async () => {
      // Once, between the look whether it is there and the commit; as one who asked before the update was there.
      if (removed > 0) return;
      removed += 1;
      t.same(await removeArtifact({ records, place, neededBy: async () => [] }, sha256, signal), { kind: 'removed' });
    });
    const [update] = await want(LOCATION, ['cp2']);
    t.match([update?.state, existsSync(path), removed, downloads()], ['Downloaded', true, 1, 3]);
    t.match(await records.find(sha256), { sizeBytes: bytes.length });
  },
);

void t.test('records become what the bytes are, after kills and lost disks', async (t) => {
  const { want, records, place, store, path, spoolDir } = stage(t);
  const mend = () => mendRecords({ records, place, store, showsAll: async () => true }, signal);
  await want(LOCATION, ['cp1', 'cp2']);
  rmSync(path);
  t.equal(await mend(), 1);
  t.same(await records.page(10, 1), []);
  writeFileSync(path, bytes);
  writeFileSync(join(spoolDir, 'images', 'unfinished.part'), 'x');
  t.equal(await mend(), 1);
  t.match(await records.page(10, 1), [
    { sha256, bytesSaved: bytes.length, sources: [{ from: 'http://files.example/fw.bin' }] },
  ]);
  t.equal(await mend(), 0);
});

void t.test('a spool that is not mounted for a while loses nothing', async (t) => {
  const { records, place, store, path, spoolDir } = stage(t);
  const { keys } = store;
  let now = Date.now();
  /** As ota-workers do it at the start and every hour. */
  const sweep = async (): Promise<number> => {
    await tellSpool(redis, keys, spoolDir, now);
    return mendRecords({ records, place, store, showsAll: () => ownsImages(redis, keys, spoolDir, now) }, signal);
  };
  mkdirSync(join(spoolDir, 'images'), { recursive: true });
  writeFileSync(path, bytes);
  await records.bring({ sha256, sizeBytes: bytes.length, md5: 'm', by: 'upload', from: 'x', locationKey: 'a' });
  await sweep();
  const away = `${spoolDir}-away`;
  renameSync(spoolDir, away);
  mkdirSync(spoolDir);
  t.equal(
    await mendRecords({ records, place, store, showsAll: () => ownsImages(redis, keys, spoolDir, now) }, signal),
    0,
  );
  now += 3600_000;
  t.equal(await sweep(), 0, 'under its name there is another folder');
  now += 5 * 24 * 3600_000;
  t.equal(await sweep(), 0, 'for days');
  const other = `${spoolDir}-other`;
  renameSync(spoolDir, other);
  renameSync(away, spoolDir);
  t.equal(await sweep(), 0);
  t.match([await records.find(sha256), await records.broughtFor('a')], [{ isBrought: true }, { sha256 }]);
  rmSync(path);
  t.equal(await sweep(), 1, 'what is lost in the folder itself is lost');
  writeFileSync(path, bytes);
  await records.bring({ sha256, sizeBytes: bytes.length, md5: 'm', by: 'upload', from: 'x' });
  rmSync(spoolDir, { recursive: true });
  renameSync(other, spoolDir);
  now += 6 * 24 * 3600_000;
  t.equal(await sweep(), 0);
  now += 2 * 24 * 3600_000;
  t.equal(await sweep(), 1, 'a disk that does not come back');
});

void t.test('what is given after its record was removed leaves no key without an end', async (t) => {
  const { records, place, store, showsAll } = { ...stage(t), showsAll: async () => true };
  await records.found({ sha256, sizeBytes: 1 }, 1);
  const mark = (await records.beginRemoval(sha256, 'one')) ?? '';
  await records.endRemoval(sha256, mark);
  const transaction = store.transaction();
  noteGiven(transaction, { sha256, sizeBytes: 1 }, 'cs-1', 2);
  await store.commit(transaction);
  await mendRecords({ records, place, store, showsAll }, signal);
  t.same(await records.listed(), [], 'its bytes are gone');
  for (const key of [store.keys.artifact(sha256), store.keys.artifactStations(sha256)])
    t.ok((await redis.ttl(key)) > 0, key);
});

void t.test('a removal whose process was killed holds nothing up for long', async (t) => {
  const { records, store } = stage(t);
  t.type(await records.beginRemoval(sha256, 'dead'), 'string');
  t.equal(await records.beginRemoval(sha256, 'other'), undefined);
  const later = createArtifactRecords(redis, store.keys, () => Date.now() + 61_000);
  const [, mark] = await later.settled(sha256, signal);
  t.match(mark, /^dead /);
  const own = await later.beginRemoval(sha256, 'next');
  t.type(own, 'string');
  const transaction = store.transaction();
  noteObtained(transaction, { sha256, sizeBytes: 1 }, { location: LOCATION, fetchedBytes: 1, at: 1 });
  await store.commit(transaction);
  await records.endRemoval(sha256, mark);
  t.match(await records.find(sha256), { sha256 }, 'the dead one ends nothing any more');
});

void t.test('an image that updates take out of the depot came from where it was brought in', async (t) => {
  const { store, records } = stage(t);
  await records.bring({ sha256, sizeBytes: 1, md5: 'm', by: 'upload', from: 'charger.img' });
  // As version 0.1.0 noted it.
  const before = JSON.stringify(['fetched', `artifact://sha256/${sha256}`]);
  await redis.zadd(store.keys.artifactSources(sha256), Date.now() + 1000, before);
  const transaction = store.transaction();
  const location = `artifact://sha256/${sha256}#x`;
  noteObtained(transaction, { sha256, sizeBytes: 1 }, { location, fetchedBytes: 0, at: Date.now() + 2000 });
  await store.commit(transaction);
  const found = await records.find(sha256);
  t.same(
    found?.sources.map(({ by, from }) => [by, from]),
    [['upload', 'charger.img']],
  );
  t.equal(await redis.zcard(store.keys.artifactSources(sha256)), 2, 'nothing is added any more');
});

void t.test('a removal that is killed at its end leaves no location behind', async (t) => {
  const { store, records } = stage(t);
  const dying = redis.duplicate();
  t.teardown(() => dying.disconnect());
  const theirs = createArtifactRecords(dying, store.keys, wall);
  await records.bring({ sha256, sizeBytes: 1, md5: 'm', by: 'upload', from: 'x', locationKey: 'a' });
  await records.bring({ sha256: 'f'.repeat(64), sizeBytes: 1, md5: 'm', by: 'upload', from: 'x', locationKey: 'b' });
  const mark = (await theirs.beginRemoval(sha256, 'one')) ?? '';
  // The first command goes, and no other.
  const ending = theirs.endRemoval(sha256, mark);
  const send = dying.sendCommand.bind(dying);
  dying.sendCommand = (command, ...more) =>
    command.name === 'hgetall' ? Promise.reject(new Error('killed')) : send(command, ...more);
  await ending.catch(() => undefined);
  t.same(await records.broughtLocations(), { b: 'f'.repeat(64) });
});

void t.test('objects of the store are swept by name, age and room, and never those that are needed', async (t) => {
  const { records, store } = stage(t);
  const s3 = await startS3({ dir: t.testdir({ s3: {}, staging: {} }) });
  const objects = createObjectStore({
    S3_ENDPOINT: s3.endpoint,
    S3_REGION: s3.region,
    S3_ACCESS_KEY: s3.accessKey,
    S3_SECRET_KEY: s3.secretKey,
    S3_BUCKET: s3.bucket,
  });
  t.teardown(async () => {
    objects.close();
    await s3.stop();
  });
  const place: ArtifactPlace = storePlace(objects, s3.bucket);
  const folder = join(t.testdirName, 'staging');
  mkdirSync(folder, { recursive: true });
  const images = ['named-old', 'named-new', 'unnamed', 'needed', 'brought'].map((seed) => ({
    seed,
    ...makeImage(1000, seed),
  }));
  const of = (seed: string): string => images.find((image) => image.seed === seed)?.sha256 ?? '';
  for (const image of images) {
    const file = join(folder, image.seed);
    writeFileSync(file, image.bytes);
    utimesSync(file, 1, 1);
    await place.add(file, { sha256: image.sha256, sizeBytes: 1000 }, signal);
    await records.found({ sha256: image.sha256, sizeBytes: 1000 }, 1);
  }
  await records.bring({ sha256: of('brought'), sizeBytes: 1000, md5: 'm', by: 'upload', from: 'x' });
  await redis.hset(store.keys.artifact(of('named-new')), 'lastUsedAt', String(Date.now() + 3_000_000));
  /** What happens once the sweep has decided. */
  let meanwhile = async (): Promise<void> => undefined;
  const sweep = (ms: number, maxBytes: number) =>
    sweepStore(
      {
        records,
        place,
        list: () => place.list(signal),
        neededBy: async (id) => {
          await meanwhile();
          return id === of('needed') ? ['firmware-update-1'] : [];
        },
        // `needed` has become so since: who removes it hears of that.
        namedImages: async () => new Set([of('named-old'), of('named-new')]),
        neededImages: async () => new Set(),
        now: () => Date.now() + ms,
        maxBytes,
      },
      signal,
    );
  const left = async (): Promise<string[]> => {
    const there = new Set((await place.list(signal)).map((held) => held.sha256));
    return images.filter((image) => there.has(image.sha256)).map(({ seed }) => seed);
  };
  t.equal(await sweep(0, 1), 0, 'all are young');
  meanwhile = () => records.bring({ sha256: of('unnamed'), sizeBytes: 1000, md5: 'm', by: 'upload', from: 'y' });
  t.equal(await sweep(3_700_000, 0), 0, 'somebody has just been told that the depot keeps it');
  t.ok((await left()).includes('unnamed'));
  meanwhile = async () => undefined;
  await redis.srem(store.keys.broughtArtifacts, of('unnamed'));
  t.equal(await sweep(3_700_000, 0), 1);
  t.same(await left(), ['named-old', 'named-new', 'needed', 'brought']);
  t.equal(await sweep(3_700_000, 2000), 1);
  t.same(await left(), ['named-new', 'needed', 'brought'], 'the oldest makes room');
  t.equal(await sweep(9_000_000, 1), 1);
  t.same(await left(), ['needed', 'brought'], 'neither what is needed nor what nothing could fetch again');
  t.same(new Set((await records.page(10, 0)).map((one) => one.sha256)), new Set([of('needed'), of('brought')]));
});
