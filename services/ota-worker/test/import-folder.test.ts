/** Images on a stick: whole ones are taken in, what is refused is told. */
import { rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { spoolPlace } from '@khumbu/artifacts/spool-place';
import { createArtifactRecords } from '@khumbu/operations/artifacts/artifact-records';
import { broughtKey } from '@khumbu/operations/artifacts/brought-key';
import { createImports, isLeft } from '@khumbu/operations/artifacts/imports';
import { createStore } from '@khumbu/operations/kinds/store';
import { createImportFolder } from '@khumbu/ota-worker/importing/import-folder';
import { createLogger } from '@khumbu/shared/runtime/logger';
import { makeImage } from '@khumbu/test-support/firmware';
import { openRedis } from '@khumbu/test-support/redis';
import { mountSmallDisk } from '@khumbu/test-support/small-disk';
import t from 'tap';

const signal = AbortSignal.timeout(600_000);
const { redis } = await openRedis(t, t.testdir({}));
const { bytes, sha256 } = makeImage(40_000);

void t.test('whole files are taken in once, with what lies beside them', async (t) => {
  const dir = t.testdir({ stick: {}, spool: {} });
  const at = (name: string): string => join(dir, 'stick', name);
  const { keys } = createStore(redis, 'imports');
  const records = createArtifactRecords(redis, keys, Date.now);
  const imports = createImports(redis, keys);
  const spoolDir = join(dir, 'spool');
  const takeIn = { place: spoolPlace(spoolDir), records, spoolDir, minBytes: 10, maxBytes: 1e6, allowPkcs1: true };
  const log = createLogger('test', 'silent');
  const options = { folder: join(dir, 'stick'), takeIn, imports, ignored: () => [], now: Date.now, log };
  const stick = createImportFolder(options);

  writeFileSync(at('fw.raucb'), bytes);
  writeFileSync(at('copy.part'), bytes);
  writeFileSync(at('.hidden'), bytes);
  symlinkSync('/etc/hostname', at('link'));
  t.equal(await stick.look(signal), 0, 'it may still be copied');
  writeFileSync(at('fw.raucb.location'), 'ftp://files.example/fw.raucb\n');
  writeFileSync(at('fw.raucb.sha256'), `${sha256}  fw.raucb\n`);
  t.equal(await stick.look(signal), 1, 'its hash says that it is whole');
  t.match(await records.find(sha256), { isBrought: true, sources: [{ by: 'folder', from: 'fw.raucb' }] });
  t.match(await records.broughtFor(broughtKey('ftp://u:p@files.example/fw.raucb', () => [])), { sha256 });
  t.equal(await stick.look(signal), 0);
  t.equal(await createImportFolder(options).look(signal), 0, 'nor by a worker that starts anew');

  writeFileSync(at('bad.raucb'), 'not what it should be');
  writeFileSync(at('bad.raucb.sha256'), 'f'.repeat(64));
  writeFileSync(at('tiny'), 'x');
  writeFileSync(at('tiny.sha256'), 'no hash');
  t.equal(await stick.look(signal), 2);
  t.match(await imports.read(), [
    { file: /bad\.raucb$/, takenIn: false, message: /SHA-256/ },
    { file: /fw\.raucb$/, takenIn: true, sha256 },
    { file: /tiny$/, takenIn: false, message: /begins with no SHA-256/ },
  ]);
  t.equal(await stick.look(signal), 0, 'what was refused is not read again and again');
  rmSync(at('tiny'));
  utimesSync(at('bad.raucb'), 1, 1);
  writeFileSync(at('bad.raucb'), bytes);
  writeFileSync(at('bad.raucb.sha256'), sha256);
  t.equal(await stick.look(signal), 1, 'it was replaced');
  t.same(
    (await imports.read()).map(({ takenIn: isIn }) => isIn),
    [true, true],
  );
});

void t.test('what cannot be taken in now is told once, and not read over and over', async (t) => {
  const dir = t.testdir({ stick: {}, spool: {} });
  const disk = await mountSmallDisk(t, join(dir, 'spool'), 400_000);
  const { keys } = createStore(redis, 'roomimports');
  const records = createArtifactRecords(redis, keys, Date.now);
  const imports = createImports(redis, keys);
  const spoolDir = join(dir, 'spool');
  const place = spoolPlace(spoolDir);
  const said: string[] = [];
  const log = createLogger('test', 'warn', { write: (line) => void said.push(line) });
  let at = 1_700_000_000_000;
  let reserved = 0;
  const limits = { minBytes: 1, maxBytes: 1e6, allowPkcs1: true, reservedBytes: async () => reserved };
  const takeIn = { place, records, spoolDir, ...limits };
  const folder = join(dir, 'stick');
  const stick = createImportFolder({ folder, takeIn, imports, ignored: () => [], now: () => at, log });
  const look = async (): Promise<number> => {
    at += 5000;
    return stick.look(signal);
  };
  const tell = async () => (await imports.read()).map(({ takenIn: isIn, message }) => ({ isIn, message }));

  writeFileSync(join(folder, 'fw.raucb'), bytes);
  writeFileSync(join(folder, 'fw.raucb.sha256'), sha256);
  reserved = 2 ** 60;
  for (let looks = 0; looks < 4; looks += 1) {
    t.equal(await look(), 1, 'room may come at any time');
    reserved -= 2 ** 30;
  }
  t.match(await tell(), [{ isIn: false, message: /lacks/ }]);
  t.equal(said.length, 1, 'once');
  reserved = 0;
  // Its own file system says that there is room, and has none.
  takeIn.place = { ...place, add: async () => Promise.reject(Object.assign(new Error('quota'), { code: 'EDQUOT' })) };
  t.equal(await look(), 1);
  for (let looks = 0; looks < 10; looks += 1) t.equal(await look(), 0, 'it is not copied again and again');
  t.equal(said.length, 2, 'it is told when it changes');
  takeIn.place = place;
  at += 60_000;
  t.equal(await look(), 1);
  t.match(await tell(), [{ isIn: true }]);
  t.equal(said.length, 2);
  if (disk) {
    await disk.fill(1000);
    writeFileSync(join(folder, 'more.raucb'), makeImage(300_000, 'more').bytes);
    await look();
    for (let looks = 0; looks < 3; looks += 1) t.equal(await look(), 1, 'a look at a full disk is cheap');
    t.equal(said.length, 3);
  }
});

void t.test('a refused file is told as long as somebody looks at its folder, and no longer', async (t) => {
  const dir = t.testdir({ stick: { 'bad.raucb': 'x', 'bad.raucb.sha256': 'f'.repeat(64) }, spool: {} });
  const { keys } = createStore(redis, 'leftimports');
  const records = createArtifactRecords(redis, keys, Date.now);
  const imports = createImports(redis, keys);
  const spoolDir = join(dir, 'spool');
  const takeIn = { place: spoolPlace(spoolDir), records, spoolDir, minBytes: 1, maxBytes: 1e6, allowPkcs1: true };
  let at = 1_700_000_000_000;
  const log = createLogger('test', 'silent');
  const stick = createImportFolder({
    folder: join(dir, 'stick'),
    takeIn,
    imports,
    ignored: () => [],
    now: () => at,
    log,
  });
  t.equal(await stick.look(signal), 1);
  const told = async () => (await imports.read()).filter((file) => !isLeft(file, at));
  for (let minutes = 0; minutes < 120; minutes += 30) {
    at += 30 * 60_000;
    t.equal(await stick.look(signal), 0);
    t.match(await told(), [{ takenIn: false, at: 1_700_000_000_000 }], 'looked at once');
  }
  at += 61 * 60_000;
  t.same(await told(), [], 'its worker has gone, or has another host name');
  t.equal((await imports.read()).length, 1);
  t.equal(await stick.look(signal), 0, 'it is known all the same when the worker is back');
  t.equal((await told()).length, 1);
  t.ok((await redis.ttl(keys.imports)) > 0);
});
