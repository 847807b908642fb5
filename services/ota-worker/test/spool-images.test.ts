/** Images in a spool that all workers share: what is handed on is read again when it may have changed. */
import { existsSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createImageChecks } from '@khumbu/ota-worker/images/image-checks';
import { sharedSpool } from '@khumbu/ota-worker/images/image-store';
import { makeImage } from '@khumbu/test-support/firmware';
import t, { type Test } from 'tap';

const signal = AbortSignal.timeout(600_000);
const { bytes, sha256 } = makeImage(300_000);
const image = { sha256, sizeBytes: bytes.length };

function stage(t: Test) {
  const spool = t.testdir({ images: { [sha256]: bytes } });
  const path = join(spool, 'images', sha256);
  const corrupt: string[] = [];
  const checks = createImageChecks();
  let reads = 0;
  const counted = {
    matches: (...of: Parameters<typeof checks.matches>) => {
      reads += 1;
      return checks.matches(...of);
    },
  };
  const onCorrupt = (found: { sha256: string }): void => void corrupt.push(found.sha256);
  return { spool, path, corrupt, images: sharedSpool(spool, { checks: counted, onCorrupt }), reads: () => reads };
}

void t.test('an image that was changed in place, with its size and its date kept, is never handed on', async (t) => {
  const { path, images, corrupt } = stage(t);
  t.equal(await images.open(image, signal), path);
  const { atime, mtime } = statSync(path);
  const bad = Buffer.from(bytes);
  bad.writeUInt8((bad.readUInt8(1234) + 1) % 256, 1234);
  writeFileSync(path, bad);
  utimesSync(path, atime, mtime);
  await t.rejects(images.open(image, signal), { code: 'IMAGE_MISSING' });
  t.same(corrupt, [sha256]);
  t.notOk(existsSync(path), 'it is fetched anew');
});

void t.test('one that its medium has changed, which nothing shows, is not installed', async (t) => {
  const { spool, path } = stage(t);
  const bad = Buffer.from(bytes);
  bad.writeUInt8((bad.readUInt8(1234) + 1) % 256, 1234);
  writeFileSync(path, bad);
  const checks = createImageChecks();
  await checks.remember(path, { sha256 });
  const corrupt: string[] = [];
  const images = sharedSpool(spool, { checks, onCorrupt: (found) => void corrupt.push(found.sha256) });
  t.equal(await images.open(image, signal), path, 'nobody has touched it');
  await t.rejects(images.open(image, signal, { anew: true }), { code: 'IMAGE_MISSING' });
  t.same(corrupt, [sha256]);
  t.notOk(existsSync(path), 'it is fetched anew');
  writeFileSync(path, bytes);
  const stations = Array.from({ length: 10 }, () => images.open(image, signal, { anew: true }));
  t.same(await Promise.all(stations), Array(10).fill(path));
});

void t.test('one that its disk cannot read is none', async (t) => {
  const { spool, path } = stage(t);
  const matches = async () => Promise.reject(Object.assign(new Error('i/o error'), { code: 'EIO' }));
  await t.rejects(sharedSpool(spool, { checks: { matches } }).open(image, signal), { code: 'IMAGE_MISSING' });
  t.notOk(existsSync(path));
});

void t.test('one that another worker puts there while it is looked at is the one that counts', async (t) => {
  const { spool, path } = stage(t);
  writeFileSync(path, Buffer.alloc(bytes.length));
  const images = sharedSpool(spool, {
    checks: {
      async matches(file) {
        if (readFileSync(file).equals(bytes)) return true;
        writeFileSync(path, bytes);
        return false;
      },
    },
    onCorrupt: () => t.fail('it is whole by then'),
  });
  t.equal(await images.open(image, signal), path);
  t.ok(readFileSync(path).equals(bytes));
});

void t.test(
  'who asks for a new image does not make it one that has to be read again; an old one counts as new',
  async (t) => {
    const { spool, path } = stage(t);
    const checks = createImageChecks();
    const images = sharedSpool(spool, { checks });
    // Nobody who reads it would find this.
    const found = { sha256: 'f'.repeat(64) };
    await checks.remember(path, found);
    t.ok(await images.has(image, signal));
    t.ok(await checks.matches(path, found.sha256, signal), 'what its fetch found out is known');
    const [hourAgo, tomorrow] = [Date.now() - 3_600_000, Date.now() + 86_400_000];
    for (const time of [hourAgo, tomorrow]) {
      utimesSync(path, time / 1000, time / 1000);
      t.ok(await images.has(image, signal));
      t.ok(Math.abs(statSync(path).mtimeMs - Date.now()) < 300_000);
    }
  },
);
