/** Images that each worker brings from the depot's object store into a spool of its own. */
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createObjectStore, type ObjectStore } from '@khumbu/object-store/object-store';
import { createImageChecks } from '@khumbu/ota-worker/images/image-checks';
import { endStaleCopies, objectStoreImages } from '@khumbu/ota-worker/images/image-store';
import type { ImageChecks, ImageStore } from '@khumbu/steps/firmware-update/image-ports';
import { makeImage } from '@khumbu/test-support/firmware';
import { type S3Server, startS3 } from '@khumbu/test-support/s3';
import t, { type Test } from 'tap';

/** Of the object store, for one call. */
const TRIES = 3;
const never = new AbortController().signal;
const { bytes, sha256 } = makeImage(3_000_000);
const image = { sha256, sizeBytes: bytes.length };

interface Stage {
  readonly s3: S3Server;
  readonly objects: ObjectStore;
  readonly images: ImageStore;
  readonly checks: ImageChecks;
  readonly spool: string;
  readonly folder: string;
  /** What was asked of the store for the content of an image. */
  readonly gets: () => number;
  /** SHA-256 of images the store had something else of. */
  readonly corrupt: readonly string[];
}

/** A worker whose spool lacks an image that the store has. */
async function stage(
  t: Test,
  makeRoom: (bytes: number) => Promise<number> = async () => 0,
  around: (objects: ObjectStore) => ObjectStore = (objects) => objects,
): Promise<Stage> {
  const dir = t.testdir({ s3: {}, spool: { images: {} } });
  const s3 = await startS3({ dir: join(dir, 's3') });
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
  const spool = join(dir, 'spool');
  const folder = join(spool, 'images');
  const corrupt: string[] = [];
  const checks = createImageChecks();
  const images = objectStoreImages(spool, around(objects), s3.bucket, makeRoom, {
    checks,
    onCorrupt: (found) => corrupt.push(found.sha256),
  });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, sha256), bytes);
  await images.keep(image, never);
  rmSync(join(folder, sha256));
  return {
    s3,
    objects,
    images,
    checks,
    spool,
    folder,
    corrupt,
    gets: () => s3.requests.filter((line) => line.startsWith('GET')).length,
  };
}

void t.test('many stations want one image at once: it is brought here once; who came first may give up', async (t) => {
  const { images, folder, gets } = await stage(t);
  const first = new AbortController();
  const given = t.rejects(images.open(image, first.signal), { message: 'given up' });
  const others = Array.from({ length: 20 }, () => images.open(image, new AbortController().signal));
  first.abort(new Error('given up'));
  await given;
  t.same(await Promise.all(others), Array(20).fill(join(folder, sha256)));
  t.ok(readFileSync(join(folder, sha256)).equals(bytes));
  t.equal(gets(), 1);
  t.equal(await images.open(image, never), join(folder, sha256));
  t.equal(gets(), 1, 'it is here');
});

void t.test('when no update wants it any more it ends and leaves nothing; the next one begins anew', async (t) => {
  let began: (() => void) | undefined;
  const begun = new Promise<void>((resolve) => {
    began = resolve;
  });
  const { images, folder, gets } = await stage(t, undefined, (objects) => ({
    ...objects,
    getToFile: (input) => objects.getToFile({ ...input, onProgress: () => began?.() }),
  }));
  const both = [new AbortController(), new AbortController()];
  const given = both.map(({ signal }) => t.rejects(images.open(image, signal), { message: 'given up' }));
  await begun;
  for (const one of both) one.abort(new Error('given up'));
  await Promise.all(given);
  t.same(readdirSync(folder), []);
  t.equal(await images.open(image, never), join(folder, sha256));
  t.equal(gets(), 2);
});

void t.test('what fails, fails for all who wait, and not for who comes later', async (t) => {
  const { images, s3, gets } = await stage(t);
  s3.failWith(403, (request) => request.startsWith('GET'));
  for (const outcome of await Promise.allSettled([1, 2, 3].map(() => images.open(image, never))))
    t.match(outcome, { status: 'rejected', reason: { code: 'S3_UNAVAILABLE' } });
  t.equal(gets(), TRIES);
  s3.failWith(undefined);
  t.ok(await images.open(image, never));
});

void t.test('it makes room for an image once', async (t) => {
  let fails = 1;
  const full = (objects: ObjectStore): ObjectStore => ({
    ...objects,
    async getToFile(input) {
      fails -= 1;
      if (fails >= 0) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
      return objects.getToFile(input);
    },
  });
  const asked: number[] = [];
  let freed = 1;
  const makeRoom = async (missing: number): Promise<number> => {
    asked.push(missing);
    return freed;
  };
  const { images, folder } = await stage(t, makeRoom, full);
  const noSpace = { code: 'FETCH_RETRYABLE', reason: 'no_space' };
  fails = 2;
  await t.rejects(images.open(image, never), noSpace);
  t.same(asked, [image.sizeBytes], 'not again and again');
  fails = 1;
  freed = 0;
  await t.rejects(images.open(image, never), noSpace);
  t.equal(fails, 0, 'not without room');
  fails = 1;
  freed = 1;
  t.equal(await images.open(image, never), join(folder, sha256));
  t.same(asked, Array(3).fill(image.sizeBytes));
});

void t.test('an image that neither the spool nor the store has is missing', async (t) => {
  const { images, objects, s3 } = await stage(t);
  await objects.remove(s3.bucket, `firmware/sha256/${sha256}`);
  await t.rejects(images.open(image, never), { code: 'IMAGE_MISSING' });
});

const KEY = `firmware/sha256/${sha256}`;
const otherBytes = Buffer.from(bytes);
otherBytes[1_000_000] = (otherBytes[1_000_000] ?? 0) ^ 1;

/** Something else of the same size under the name of the image, with or without our mark. */
const swap = (objects: ObjectStore, bucket: string, metadata: Record<string, string> = {}): Promise<unknown> =>
  objects.putStream({
    bucket,
    key: KEY,
    body: Readable.from([otherBytes], { objectMode: false }),
    contentType: 'application/octet-stream',
    metadata,
  });

void t.test('what the store has under the name of an image is no image by its size alone', async (t) => {
  for (const metadata of [{}, { 'khumbu-sha256': sha256 }]) {
    const { images, objects, s3, folder, gets, corrupt } = await stage(t);
    await swap(objects, s3.bucket, metadata);
    await t.rejects(images.open(image, never), { code: 'IMAGE_MISSING' });
    t.equal(gets(), 2, 'it might have been damaged on the way');
    t.same(readdirSync(folder), [], 'nothing of it is left here');
    t.same(corrupt, [sha256], 'somebody is told');
    t.notOk(await images.has(image, never), 'the next fetch brings it again');
    writeFileSync(join(folder, sha256), bytes);
    await images.keep(image, never);
    rmSync(join(folder, sha256));
    t.ok(readFileSync(await images.open(image, never)).equals(bytes));
  }
});

void t.test('an image that was damaged on the way is brought once more', async (t) => {
  let damaged = 1;
  const { images, corrupt } = await stage(t, undefined, (objects) => ({
    ...objects,
    async getToFile(input) {
      damaged -= 1;
      return objects.getToFile(damaged < 0 ? input : { ...input, sha256: '0'.repeat(64) });
    },
  }));
  t.ok(readFileSync(await images.open(image, never)).equals(bytes));
  t.same(corrupt, []);
});

void t.test('a file that was changed here since is brought again: what is handed out is the image', async (t) => {
  const { images, folder, gets } = await stage(t);
  const path = join(folder, sha256);
  t.equal(await images.open(image, never), path);
  writeFileSync(path, otherBytes);
  t.ok(readFileSync(await images.open(image, never)).equals(bytes));
  t.equal(gets(), 2);
  utimesSync(path, new Date(), new Date());
  t.equal(await images.open(image, never), path);
  t.equal(gets(), 2, 'touched, and still the image');
});

void t.test('one that its medium has changed here, which nothing shows, is brought again for an install', async (t) => {
  const { images, checks, folder, gets } = await stage(t);
  const path = join(folder, sha256);
  writeFileSync(path, otherBytes);
  await checks.remember(path, { sha256 });
  t.equal(await images.open(image, never), path);
  t.equal(gets(), 0, 'nobody has touched it');
  t.ok(readFileSync(await images.open(image, never, { anew: true })).equals(bytes));
  t.equal(gets(), 1);
  t.equal(await images.open(image, never, { anew: true }), path);
  t.equal(gets(), 1, 'it is whole');
});

void t.test('one that its disk cannot read any more is brought again for an install', async (t) => {
  const { objects, s3, checks, spool, folder, gets } = await stage(t);
  const path = join(folder, sha256);
  let unreadable: number | undefined;
  let isUnderWay = false;
  const images = objectStoreImages(spool, objects, s3.bucket, async () => 0, {
    checks: {
      async matches(file, wanted, signal, how) {
        const isBad = how?.anew === true && statSync(file).ino === unreadable;
        // Somebody who asks for no new read: what is known of the file is good.
        if (isBad && !isUnderWay) {
          isUnderWay = true;
          t.equal(await images.open(image, never), path);
        }
        if (isBad) throw Object.assign(new Error('i/o error'), { code: 'EIO' });
        return checks.matches(file, wanted, signal, how);
      },
    },
  });
  t.equal(await images.open(image, never), path);
  t.equal(gets(), 1);
  unreadable = statSync(path).ino;
  const stations = Array.from({ length: 10 }, () => images.open(image, never, { anew: true }));
  t.same(await Promise.all(stations), Array(10).fill(path));
  t.not(statSync(path).ino, unreadable, 'it is another file');
  t.ok(readFileSync(path).equals(bytes));
  t.equal(gets(), 2);

  unreadable = statSync(path).ino;
  s3.failWith(403, (request) => request.startsWith('GET'));
  await t.rejects(images.open(image, never, { anew: true }), { code: 'S3_UNAVAILABLE' });
  await t.rejects(images.open(image, never), { code: 'S3_UNAVAILABLE' }, 'it is not handed on to anybody');
  s3.failWith(undefined);
  t.equal(await images.open(image, never, { anew: true }), path);
  t.not(statSync(path).ino, unreadable);
});

void t.test('another worker’s image of the last release is taken, once it was read', async (t) => {
  const { images, objects, s3 } = await stage(t);
  const body = Readable.from([bytes], { objectMode: false });
  await objects.putStream({ bucket: s3.bucket, key: KEY, body, contentType: 'application/octet-stream' });
  t.ok(await images.has(image, never));
  t.ok(readFileSync(await images.open(image, never)).equals(bytes));
  await swap(objects, s3.bucket, { 'khumbu-sha256': 'another' });
  t.notOk(await images.has(image, never), 'its mark says that it is another one');
});

void t.test('copies that were begun a day ago are looked for where images are kept', async (t) => {
  const asked: unknown[] = [];
  const abortUploadsBefore: ObjectStore['abortUploadsBefore'] = async (...what) => asked.push(what);
  const { images, s3 } = await stage(t);
  await images.open(image, never);
  t.equal(await endStaleCopies({ abortUploadsBefore }, s3.bucket, Date.parse('2026-01-02T00:00:00Z')), 1);
  t.same(asked, [[s3.bucket, 'firmware/sha256/', Date.parse('2026-01-01T00:00:00Z')]]);
  t.ok(
    s3.requests.some((line) => line.startsWith(`PUT /${s3.bucket}/firmware/sha256/`)),
    'that is where they are',
  );
});
