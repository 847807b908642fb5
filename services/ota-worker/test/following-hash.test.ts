/** Large images are hashed by a thread that follows their files: the digest is that of the file, and nothing is left running. */
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { fetchImage } from '@khumbu/ota-worker/fetching/fetch-image';
import type { FetchOptions } from '@khumbu/ota-worker/fetching/fetch-options';
import { createImageChecks } from '@khumbu/ota-worker/images/image-checks';
import { FollowingHash } from '@khumbu/ota-worker/writing/following-hash';
import { ImageWriter } from '@khumbu/ota-worker/writing/image-writer';
import { createLocationPolicy } from '@khumbu/shared/locations/policy';
import { makeImage, makeSigner } from '@khumbu/test-support/firmware';
import { startOrigin } from '@khumbu/test-support/origin';
import t, { type Test } from 'tap';

const MIB = 1024 * 1024;
const IMAGE = makeImage(12 * MIB, 'followed', false);
const MARK = '===== BEGIN METADATA ====='.length;
const FACTS = { sha256: IMAGE.sha256, metadataAt: MARK };
const never = new AbortController().signal;
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const md5 = (bytes: Buffer): string => createHash('md5').update(bytes).digest('hex');

/** Files below a folder that a process has open, by whichever of its threads. */
const openBelow = (folder: string, pid: number | 'self' = 'self'): string[] =>
  readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      const path = readlinkSync(`/proc/${pid}/fd/${fd}`);
      return path.startsWith(folder) ? [path] : [];
    } catch {
      return [];
    }
  });

async function writerOf(t: Test, path: string) {
  const file = await open(path, 'a+');
  t.teardown(() => file.close());
  return { file, writer: new ImageWriter(file, path) };
}

void t.test('the facts are those of the bytes, whatever becomes of the name meanwhile', async (t) => {
  const dir = t.testdir({});
  const path = join(dir, 'image');
  const { writer } = await writerOf(t, path);
  const piece = Buffer.alloc(MIB);
  for (let at = 0; at < IMAGE.bytes.length; at += 700_000) {
    const length = IMAGE.bytes.copy(piece, 0, at, at + 700_000);
    writer.append(piece.subarray(0, length));
    // A buffer that was appended may be used again.
    piece.fill(0);
  }
  t.same(await writer.facts(), FACTS);
  renameSync(path, join(dir, 'published'));
  t.ok(readFileSync(join(dir, 'published')).equals(IMAGE.bytes));
  await writer.stop();
  t.equal(openBelow(dir).length, 1, 'by the writer alone');
});

void t.test('one goes on behind bytes that are not hashed yet', async (t) => {
  const path = join(t.testdir({}), 'image');
  writeFileSync(path, IMAGE.bytes.subarray(0, 10 * MIB));
  const file = await open(path, 'r+');
  t.teardown(() => file.close());
  const writer = await ImageWriter.behind(file, path, 10 * MIB, never);
  t.equal(writer.written, 10 * MIB);
  writer.append(IMAGE.bytes.subarray(10 * MIB));
  t.same(await writer.facts(), FACTS);
});

void t.test('a file that gets shorter, or is gone before it is opened, has no facts', async (t) => {
  const dir = t.testdir({});
  const path = join(dir, 'image');
  writeFileSync(path, randomBytes(1000));
  const hash = new FollowingHash(path);
  truncateSync(path, 999);
  await t.rejects(hash.whole(1000), { code: 'EIO' });
  await t.rejects(new FollowingHash(join(dir, 'gone')).whole(1), { code: 'ENOENT' });
  t.same(openBelow(dir), []);
});

void t.test('many files at once, and some of them are given up', async (t) => {
  const dir = t.testdir({});
  const contents = Array.from({ length: 6 }, (_, n) => randomBytes(5 * MIB + n));
  const hashes = contents.map((content, n) => {
    const path = join(dir, String(n));
    writeFileSync(path, content);
    const hash = new FollowingHash(path);
    hash.written(4 * MIB);
    return { hash, sizeBytes: content.length };
  });
  const given = hashes.filter((_, n) => n % 2 === 1);
  await Promise.all(given.flatMap(({ hash }) => [hash.stop(), hash.stop()]));
  for (const { hash, sizeBytes } of given) await t.rejects(hash.whole(sizeBytes), { code: 'HASH_STOPPED' });
  const kept = hashes.filter((_, n) => n % 2 === 0);
  const found = await Promise.all(kept.map(({ hash, sizeBytes }) => hash.whole(sizeBytes)));
  t.same(
    found,
    [0, 2, 4].map((n) => ({ sha256: sha256(contents[n] ?? Buffer.alloc(0)) })),
  );
  await kept[0]?.hash.stop();
  t.same(openBelow(dir), []);
});

const policy = createLocationPolicy({ allowedSchemes: ['http'], allowedHosts: [], allowLoopback: true });
const optionsFor = (spoolDir: string, location: string, changes: Partial<FetchOptions> = {}): FetchOptions => ({
  location,
  key: 'image',
  spoolDir,
  policy,
  maxBytes: 100 * MIB,
  stallMs: 20_000,
  signal: never,
  ...changes,
});

async function stage(t: Test, behaviours: Parameters<Awaited<ReturnType<typeof startOrigin>>['serve']>[2]) {
  const origin = await startOrigin();
  t.teardown(() => origin.close());
  const spool = t.testdir({});
  const location = origin.serve('/image', IMAGE.bytes, behaviours);
  const isWhole = async (): Promise<void> => {
    t.match(await fetchImage(optionsFor(spool, location)), { kind: 'fetched', ...FACTS });
    t.ok(readFileSync(join(spool, 'images', IMAGE.sha256)).equals(IMAGE.bytes));
    t.same(readdirSync(join(spool, 'fetching')), []);
    t.same(openBelow(spool), []);
  };
  return { origin, spool, location, isWhole };
}

void t.test('a cut in the middle', async (t) => {
  const { spool, location, isWhole } = await stage(t, [{ cutAfterBytes: 10 * MIB }, {}]);
  await t.rejects(fetchImage(optionsFor(spool, location)), { code: 'FETCH_RETRYABLE', reason: 'cut' });
  t.same(openBelow(spool), [], 'nobody reads any more');
  await isWhole();
});

void t.test('MD5 in the same pass, of what a cut, a coding and a small size make of it', async (t) => {
  const { origin, spool, location } = await stage(t, [{ cutAfterBytes: 10 * MIB }, {}]);
  const withMd5 = { withMd5: true };
  await t.rejects(fetchImage(optionsFor(spool, location, withMd5)), {
    code: 'FETCH_RETRYABLE',
    reason: 'cut',
  });
  t.match(await fetchImage(optionsFor(spool, location, withMd5)), { ...FACTS, md5: md5(IMAGE.bytes) });
  const small = randomBytes(300_000);
  t.match(await fetchImage(optionsFor(spool, origin.serve('/small', small), { key: 'small', ...withMd5 })), {
    sha256: sha256(small),
    md5: md5(small),
  });
  const packed = gzipSync(small);
  const coded = origin.serve('/coded', packed, { headers: { 'content-encoding': 'gzip' } });
  t.match(await fetchImage(optionsFor(spool, coded, { key: 'coded', ...withMd5 })), {
    md5: md5(small),
    asCame: { sha256: sha256(packed), md5: md5(packed) },
  });
  t.notOk(
    'md5' in (await fetchImage(optionsFor(spool, origin.serve('/plain', small), { key: 'plain' }))),
    'if it is asked for',
  );
});

void t.test('an abort in the middle', async (t) => {
  const { spool, location, isWhole } = await stage(t, [{ stallAfterBytes: 10 * MIB }, {}]);
  const aborter = new AbortController();
  const onProgress = (bytes: number): void => {
    if (bytes >= 10 * MIB) aborter.abort(new Error('enough'));
  };
  const fetching = fetchImage(optionsFor(spool, location, { signal: aborter.signal, onProgress }));
  await t.rejects(fetching, { message: 'enough' });
  t.same(openBelow(spool), []);
  await isWhole();
});

void t.test('a worker that is killed in the middle', async (t) => {
  const { spool, location, isWhole } = await stage(t, [{ stallAfterBytes: 10 * MIB }, {}]);
  const script = fileURLToPath(new URL('./fetch-child.js', import.meta.url));
  const child = spawn(process.execPath, [script, location, spool], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  for await (const line of createInterface({ input: child.stdout })) {
    if (Number(line) < 10 * MIB) continue;
    t.equal(openBelow(spool, child.pid).length > 0, true);
    child.kill('SIGKILL');
  }
  await isWhole();
});

void t.test('a part that another run has removed meanwhile', async (t) => {
  const { spool, location } = await stage(t, [{ bytesPerSecond: 50_000_000 }]);
  const onProgress = (bytes: number): void => {
    if (bytes < 9 * MIB) return;
    for (const name of readdirSync(join(spool, 'fetching'))) rmSync(join(spool, 'fetching', name));
  };
  await t.rejects(fetchImage(optionsFor(spool, location, { onProgress })), {
    code: 'FETCH_RETRYABLE',
    reason: 'superseded',
  });
  t.same(openBelow(spool), []);
});

void t.test('a digest that is not the one that was signed', async (t) => {
  const { origin, spool } = await stage(t, []);
  const signer = await makeSigner(spool, 'rsa-pss');
  const other = Buffer.from(IMAGE.bytes);
  other[11 * MIB] = (other[11 * MIB] ?? 0) ^ 1;
  const { signing_certificate: certificatePem, signature: signatureBase64 } = signer.signed(IMAGE.bytes);
  const question = { certificatePem, signatureBase64, allowPkcs1: true };
  const checks = createImageChecks();
  for (const [name, bytes, verdict] of [
    ['good', IMAGE.bytes, { ok: true, scheme: 'rsa-pss' }],
    ['bad', other, { ok: false, reason: 'signature_mismatch' }],
  ] as const) {
    const result = await fetchImage(optionsFor(spool, origin.serve(`/${name}`, bytes), { key: name }));
    if (result.kind !== 'fetched') return t.fail('it is fetched');
    t.equal(result.sha256, sha256(bytes));
    await checks.remember(result.path, result);
    t.same(await checks.verdict(result.path, question, never), verdict);
  }
});
