import { createHash, randomBytes } from 'node:crypto';
import { appendFileSync, closeSync, openSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { createImageChecks } from '@khumbu/ota-worker/images/image-checks';
import { MarkFinder } from '@khumbu/ota-worker/writing/image-facts';
import { ImageWriter } from '@khumbu/ota-worker/writing/image-writer';
import { readImageFacts } from '@khumbu/ota-worker/writing/read-image';
import { makeImage, makeSigner, type SignatureScheme } from '@khumbu/test-support/firmware';
import t, { type Test } from 'tap';

const BEGIN = '===== BEGIN METADATA =====';
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const never = new AbortController().signal;

async function fileOf(t: Test, path: string, flags = 'r+') {
  closeSync(openSync(path, 'a'));
  const file = await open(path, flags);
  t.teardown(() => file.close());
  return file;
}

void t.test('what goes in is in the file, in order, and its digest is known at the end', async (t) => {
  const path = join(t.testdir(), 'image');
  const image = randomBytes(1_300_000);
  const writer = new ImageWriter(await fileOf(t, path), path);
  const piece = Buffer.alloc(700_000);
  for (let at = 0, length = 1; at < image.length; at += length, length = Math.min(length * 3, piece.length)) {
    const used = image.copy(piece, 0, at, at + length);
    writer.append(piece.subarray(0, used));
    // A buffer that was appended may be used again.
    piece.fill(0);
    t.equal(writer.written, Math.min(at + length, image.length));
    t.equal(statSync(path).size, writer.written, 'a kill costs nothing');
  }
  t.ok(readFileSync(path).equals(image));
  t.same(await writer.facts(), { sha256: sha256(image) });
});

void t.test('it goes on behind what is there and reads that first', async (t) => {
  const path = join(t.testdir(), 'image');
  const image = makeImage(700_000, 'half', false).bytes;
  writeFileSync(path, image.subarray(0, 400_000));
  const file = await fileOf(t, path);
  const writer = await ImageWriter.behind(file, path, 400_000, never);
  writer.append(image.subarray(400_000));
  t.same(await writer.facts(), { sha256: sha256(image), metadataAt: BEGIN.length });
  t.ok(readFileSync(path).equals(image));
  await t.rejects(ImageWriter.behind(file, path, 700_001, never), { code: 'EIO' }, 'it is shorter than it was');
  const enough = AbortSignal.abort(new Error('enough'));
  await t.rejects(ImageWriter.behind(file, path, 700_000, enough), { message: 'enough' });
});

void t.test('a file that cannot be written fails with the code of the system', async (t) => {
  const path = join(t.testdir(), 'image');
  const writer = new ImageWriter(await fileOf(t, path, 'r'), path);
  t.throws(() => writer.append(randomBytes(1000)), { code: 'EBADF' });
  t.equal(writer.written, 0);
});

void t.test('a whole file is read in a thread', async (t) => {
  const path = join(t.testdir(), 'image');
  const image = makeImage(700_000, 'whole', false).bytes;
  writeFileSync(path, image);
  t.same(await readImageFacts(path, never), { sha256: sha256(image), metadataAt: BEGIN.length });
  await t.rejects(readImageFacts(`${path}-that-is-not`, never), { code: 'ENOENT' });
});

void t.test('the mark is found wherever pieces are cut, and only the whole one', async (t) => {
  const text = Buffer.from(`METADATA ===== BEGIN METADAT====== BEGIN METADATA =====x METADATA ${BEGIN}`);
  const at = text.indexOf(BEGIN) + BEGIN.length;
  for (let first = 0; first <= text.length; first += 1) {
    for (const length of [1, 2, 7, 30, 100]) {
      const finder = new MarkFinder();
      finder.feed(text.subarray(0, first));
      for (let from = first; from < text.length; from += length) finder.feed(text.subarray(from, from + length));
      if (finder.found !== at) t.fail(`cut at ${first}, then every ${length}: ${finder.found}, not ${at}`);
    }
  }
  const without = new MarkFinder();
  without.feed(Buffer.from('===== BEGIN METADATA ====-'));
  t.equal(without.found, undefined);
});

for (const scheme of ['rsa-pkcs1', 'rsa-pss', 'ecdsa'] satisfies SignatureScheme[]) {
  void t.test(`${scheme}: an image is read again after any change, and not before`, async (t) => {
    const dir = t.testdir();
    const path = join(dir, 'image');
    const image = makeImage(300_000, scheme, false);
    const signer = await makeSigner(dir, scheme);
    const { signing_certificate: certificatePem, signature: signatureBase64 } = signer.signed(image.bytes);
    const question = { certificatePem, signatureBase64, allowPkcs1: true };
    writeFileSync(path, image.bytes);
    const checks = createImageChecks();
    t.same(await checks.verdict(path, question, never), { ok: true, scheme });
    t.equal(await checks.connectorsFlag(path, never), false);
    const other = { ...question, signatureBase64: signer.sign(Buffer.from('other')) };
    t.same(await checks.verdict(path, other, never), { ok: false, reason: 'signature_mismatch' });

    appendFileSync(path, 'x');
    t.same(await checks.verdict(path, question, never), { ok: false, reason: 'signature_mismatch' });
    writeFileSync(path, image.bytes);
    t.same(await checks.verdict(path, question, never), { ok: true, scheme });

    // The same size and the same time: the inode still tells.
    const bad = Buffer.from(image.bytes);
    bad[299_999] = (bad[299_999] ?? 0) ^ 1;
    writeFileSync(path, bad);
    utimesSync(path, 1, 1);
    t.same(await checks.verdict(path, question, never), { ok: false, reason: 'signature_mismatch' });
  });
}

void t.test('what a fetch found counts for the file it wrote, and for no other', async (t) => {
  const path = join(t.testdir(), 'image');
  const signer = await makeSigner(t.testdirName, 'rsa-pkcs1');
  const image = makeImage(1000);
  writeFileSync(path, 'something else');
  const checks = createImageChecks();
  // Only to see that it is not read again: nobody tells such lies.
  await checks.remember(path, { sha256: image.sha256 });
  const { signing_certificate: certificatePem, signature: signatureBase64 } = signer.signed(image.bytes);
  const question = { certificatePem, signatureBase64, allowPkcs1: true };
  t.same(await checks.verdict(path, question, never), { ok: true, scheme: 'rsa-pkcs1' });
  appendFileSync(path, '!');
  t.same(await checks.verdict(path, question, never), { ok: false, reason: 'signature_mismatch' });
});

void t.test('many ask at once: one reads; the one who reads may give up', async (t) => {
  const dir = t.testdir();
  const path = join(dir, 'image');
  const image = makeImage(20_000_000, 'many');
  writeFileSync(path, image.bytes);
  const signer = await makeSigner(dir, 'ecdsa');
  const { signing_certificate: certificatePem, signature: signatureBase64 } = signer.signed(image.bytes);
  const question = { certificatePem, signatureBase64, allowPkcs1: true };
  const checks = createImageChecks();
  const first = new AbortController();
  const given = t.rejects(checks.verdict(path, question, first.signal), { message: 'given up' });
  const others = Array.from({ length: 20 }, () => checks.verdict(path, question, new AbortController().signal));
  first.abort(new Error('given up'));
  await given;
  t.same(await Promise.all(others), Array(20).fill({ ok: true, scheme: 'ecdsa' }));
});

void t.test('reading a file can be given up', async (t) => {
  const path = join(t.testdir(), 'image');
  writeFileSync(path, Buffer.alloc(50_000_000));
  const signal = AbortSignal.abort(new Error('enough'));
  await t.rejects(readImageFacts(path, signal), { message: 'enough' });
  const later = new AbortController();
  const reading = t.rejects(readImageFacts(path, later.signal), { message: 'enough' });
  setImmediate(() => later.abort(new Error('enough')));
  await reading;
});
