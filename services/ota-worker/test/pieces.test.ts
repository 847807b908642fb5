/** Workers with a spool each: what one has brought of a download the next one need not bring again. */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PIECES_BELOW, type Piece, readKey } from '@khumbu/ota-worker/pieces/piece-names';
import { startChild } from '@khumbu/test-support/children';
import { awaitUntil } from '@khumbu/test-support/events';
import { startOrigin } from '@khumbu/test-support/origin';
import { startS3 } from '@khumbu/test-support/s3';
import t, { type Test } from 'tap';
import { type PiecesWorker, piecesWorker } from './pieces-worker.js';

const MIB = 1024 * 1024;
/** What a line that has fallen silent may not have in the store. */
const UNKEPT = 256 * 1024;
/** So much of it comes again when it is gone on with, to be compared. */
const OVERLAP = 64 * 1024;
const PATIENCE_MS = 20_000;
const WEEK_MS = 7 * 24 * 3600_000;
const PATH = '/fw.bin';
const IMAGE = randomBytes(6 * MIB + 13);
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const never = new AbortController().signal;

async function stage(t: Test) {
  const dir = t.testdir({ s3: {} });
  const s3 = await startS3({ dir: join(dir, 's3') });
  const origin = await startOrigin();
  const workers: PiecesWorker[] = [];
  const worker = (name: string): PiecesWorker => {
    const made = piecesWorker(join(dir, name), s3.endpoint);
    workers.push(made);
    return made;
  };
  t.teardown(async () => {
    for (const { objects } of workers) objects.close();
    await origin.close();
    await s3.stop();
  });
  const { objects, pieces } = worker('nobody');
  const listed = async (): Promise<readonly Piece[]> => {
    const found = await objects.list(s3.bucket, PIECES_BELOW);
    return found.flatMap(({ key, bytes }) => {
      const object = readKey(key, bytes);
      return object?.offset === undefined ? [] : [{ ...object, offset: object.offset }];
    });
  };
  const bytesInStore = async (): Promise<number> => (await listed()).reduce((sum, { bytes }) => sum + bytes, 0);
  const heldBytes = async (): Promise<number> => {
    const { held } = await pieces.find('image', never);
    return Math.max(0, ...held.map(({ bytes }) => bytes));
  };
  const untilHeld = (bytes: number): Promise<unknown> =>
    awaitUntil(async () => (await heldBytes()) >= bytes, PATIENCE_MS, `${bytes} bytes of it in the store`);
  return {
    dir,
    s3,
    origin,
    objects,
    pieces,
    worker,
    listed,
    bytesInStore,
    heldBytes,
    untilHeld,
    sent: () => origin.stats(PATH).bodyBytes,
  };
}

type Stage = Awaited<ReturnType<typeof stage>>;

const fetchBy = ({ download }: PiecesWorker, url: string, signal = never) =>
  download(url, 'image', undefined, signal, () => undefined);

/** Bytes of the longest part in the spool. */
function partBytes({ spoolDir }: PiecesWorker): number {
  const folder = join(spoolDir, 'fetching');
  if (!existsSync(folder)) return 0;
  const parts = readdirSync(folder).filter((name) => name.endsWith('.part'));
  return Math.max(0, ...parts.map((name) => statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0));
}

/** A run that is aborted in order once it holds so many bytes, and the line is silent. */
async function abortedAt(t: Test, worker: PiecesWorker, url: string, bytes: number): Promise<void> {
  const aborter = new AbortController();
  const run = t.rejects(fetchBy(worker, url, aborter.signal), { message: 'paused' });
  await awaitUntil(() => partBytes(worker) === bytes, PATIENCE_MS, `${bytes} bytes in the spool`);
  aborter.abort(new Error('paused'));
  await run;
}

async function comesWhole(t: Test, worker: PiecesWorker, url: string, image = IMAGE): Promise<void> {
  t.match(await fetchBy(worker, url), { kind: 'fetched', sha256: sha256(image), sizeBytes: image.length });
  t.ok(readFileSync(join(worker.spoolDir, 'images', sha256(image))).equals(image));
}

void t.test('a worker is killed: what it has not kept yet is all that comes again', async (t) => {
  const { dir, s3, origin, worker, heldBytes, untilHeld, sent } = await stage(t);
  const url = origin.serve(PATH, IMAGE, [{ bytesPerSecond: 2 * MIB, stallAfterBytes: 5 * MIB }, {}]);
  const script = fileURLToPath(new URL('./pieces-child.js', import.meta.url));
  const child = await startChild(process.execPath, [script, url, join(dir, 'a'), s3.endpoint]);
  await untilHeld(1.5 * MIB);
  await child.end('SIGKILL');
  await awaitUntil(() => origin.requests.items.every(({ ended }) => ended), PATIENCE_MS, 'the line to be cut');
  const [sentBefore, held] = [sent(), await heldBytes()];
  t.ok(sentBefore < IMAGE.length, 'midway');
  await comesWhole(t, worker('b'), url);
  t.ok(
    sent() <= IMAGE.length + (sentBefore - held) + OVERLAP,
    `${sent()} bytes were sent, ${held} of ${sentBefore} were kept`,
  );
});

void t.test('a worker is killed while the line is silent: 256 KiB at most come again', async (t) => {
  const { dir, s3, origin, worker, untilHeld, sent } = await stage(t);
  const url = origin.serve(PATH, IMAGE, [{ stallAfterBytes: 3 * MIB }, {}]);
  const script = fileURLToPath(new URL('./pieces-child.js', import.meta.url));
  const child = await startChild(process.execPath, [script, url, join(dir, 'a'), s3.endpoint]);
  await untilHeld(3 * MIB - UNKEPT + 1);
  await child.end('SIGKILL');
  await comesWhole(t, worker('b'), url);
  t.ok(sent() <= IMAGE.length + UNKEPT + OVERLAP, `${sent()} bytes were sent`);
});

void t.test('a worker that stood still goes on beside the one that took over: nothing is mixed or lost', async (t) => {
  const { dir, s3, origin, worker, heldBytes, untilHeld, sent } = await stage(t);
  const url = origin.serve(PATH, IMAGE, [{ stallAfterBytes: 3 * MIB }, { stallAfterBytes: 2 * MIB }, {}]);
  const script = fileURLToPath(new URL('./pieces-child.js', import.meta.url));
  const child = await startChild(process.execPath, [script, url, join(dir, 'a'), s3.endpoint]);
  await untilHeld(3 * MIB - UNKEPT + 1);
  child.process.kill('SIGSTOP');
  const b = worker('b');
  const aborter = new AbortController();
  const run = t.rejects(fetchBy(b, url, aborter.signal), { message: 'paused' });
  await awaitUntil(() => partBytes(b) > 5 * MIB - UNKEPT - OVERLAP, PATIENCE_MS, 'the second worker to have gone on');
  aborter.abort(new Error('paused'));
  await run;
  child.process.kill('SIGCONT');
  origin.release();
  await awaitUntil(() => /^fetched$/m.test(child.stdout()), PATIENCE_MS, 'the first worker to have it all');
  t.ok(readFileSync(join(dir, 'a', 'images', sha256(IMAGE))).equals(IMAGE));
  const held = await heldBytes();
  t.ok(held >= 5 * MIB - UNKEPT - OVERLAP, `${held} bytes are held, whoever brought them`);
  const before = sent();
  await comesWhole(t, worker('c'), url);
  t.ok(sent() - before <= IMAGE.length - held + OVERLAP, `${sent() - before} bytes came again`);
});

void t.test('a run that ends in order keeps all: no byte comes again but those that are compared', async (t) => {
  const { origin, worker, bytesInStore, sent } = await stage(t);
  // Its last bytes are too few for a piece of their own, and enough that the store has five seconds to take them.
  const held = 3 * MIB + 200_000;
  const url = origin.serve(PATH, IMAGE, [{ stallAfterBytes: held }, {}]);
  await abortedAt(t, worker('a'), url, held);
  t.equal(await bytesInStore(), held);
  await comesWhole(t, worker('b'), url);
  t.equal(sent(), IMAGE.length + OVERLAP);
});

void t.test('the same worker goes on with what it has, and another one with what both runs have kept', async (t) => {
  const { origin, worker, listed, bytesInStore, sent } = await stage(t);
  const a = worker('a');
  const url = origin.serve(PATH, IMAGE, [{ stallAfterBytes: 3 * MIB }, { stallAfterBytes: 2 * MIB }, {}]);
  await abortedAt(t, a, url, 3 * MIB);
  const both = 5 * MIB - OVERLAP;
  await abortedAt(t, a, url, both);
  const kept = await listed();
  t.equal(new Set(kept.map(({ generation }) => generation)).size, 2);
  t.equal(await bytesInStore(), both, 'nothing was put twice');
  await comesWhole(t, worker('b'), url);
  t.equal(sent(), IMAGE.length + 2 * OVERLAP);
});

void t.test('a cut is no reason to begin anew at whoever tries again', async (t) => {
  const { origin, worker, sent } = await stage(t);
  const url = origin.serve(PATH, IMAGE, [{ cutAfterBytes: 2 * MIB }, { cutAfterBytes: 2 * MIB }, {}]);
  for (const name of ['a', 'b']) await t.rejects(fetchBy(worker(name), url), { code: 'FETCH_RETRYABLE' });
  await comesWhole(t, worker('c'), url);
  t.ok(sent() <= IMAGE.length + 2 * OVERLAP, `${sent()} bytes were sent`);
});

void t.test('other content at the origin since: it is fetched from the beginning, and nothing is mixed', async (t) => {
  const other = randomBytes(IMAGE.length);
  for (const etag of ['strong', '"the same for both"'] as const) {
    const { origin, worker } = await stage(t);
    const url = origin.serve(PATH, IMAGE, { etag, stallAfterBytes: 3 * MIB });
    await abortedAt(t, worker('a'), url, 3 * MIB);
    origin.serve(PATH, other, { etag });
    await comesWhole(t, worker('b'), url, other);
  }
});

void t.test('what was kept of older content goes as soon as the new one is kept', async (t) => {
  const { origin, worker, bytesInStore, pieces } = await stage(t);
  const url = origin.serve(PATH, IMAGE, { stallAfterBytes: 5 * MIB });
  await abortedAt(t, worker('a'), url, 5 * MIB);
  const other = randomBytes(IMAGE.length);
  // What is taken over first is never as long as this.
  const held = 2 * MIB + 17;
  origin.serve(PATH, other, [{ stallAfterBytes: held }, {}]);
  await abortedAt(t, worker('b'), url, held);
  // Removed behind the download, which does not wait for it.
  const isAlone = async () => (await pieces.find('image', never)).held.length === 1;
  await awaitUntil(isAlone, PATIENCE_MS, 'what is outdated to be removed');
  await awaitUntil(async () => (await bytesInStore()) === held, PATIENCE_MS, 'nothing else to be left');
  await comesWhole(t, worker('c'), url, other);
});

const NOT_KEPT = 'what comes of a download is not kept in the object store for other workers now';

void t.test('a store that is down, or takes nothing, holds no download up', async (t) => {
  const { s3, origin, worker, listed } = await stage(t);
  const url = origin.serve(PATH, IMAGE, [{ stallAfterBytes: 3 * MIB }, {}]);
  s3.failWith(500, (request) => request.startsWith('PUT'));
  const a = worker('a');
  const whole = comesWhole(t, a, url);
  await awaitUntil(() => a.warnings.length > 0, PATIENCE_MS, 'a failure to be told');
  origin.release();
  await whole;
  t.same(a.warnings, [NOT_KEPT], 'once');
  t.same(await listed(), []);
  await s3.stop();
  const b = worker('b');
  await comesWhole(t, b, url);
  t.equal(b.warnings[0], 'the object store did not say what other workers have of a download');
  t.ok(b.warnings.slice(1).every((said) => said === NOT_KEPT) && b.warnings.length <= 2, 'and no more than that');
});

void t.test('a store that is there again has all of it soon', async (t) => {
  const { s3, origin, worker, untilHeld, heldBytes, sent } = await stage(t);
  const url = origin.serve(PATH, IMAGE, [{ stallAfterBytes: 3 * MIB }, {}]);
  s3.failWith(500, (request) => request.startsWith('PUT'));
  const a = worker('a');
  const aborter = new AbortController();
  const run = t.rejects(fetchBy(a, url, aborter.signal), { message: 'paused' });
  await awaitUntil(() => a.warnings.length > 0, PATIENCE_MS, 'a failure to be told');
  s3.failWith(undefined);
  await untilHeld(3 * MIB - UNKEPT + 1);
  aborter.abort(new Error('paused'));
  await run;
  t.equal(await heldBytes(), 3 * MIB);
  t.same(a.warnings, [NOT_KEPT]);
  await comesWhole(t, worker('b'), url);
  t.equal(sent(), IMAGE.length + OVERLAP);
});

/** Replaced by other bytes of the same length, under the same name. */
async function damage({ s3, objects }: Stage, piece: Piece | undefined): Promise<void> {
  const { key = '', bytes = 0 } = piece ?? {};
  await objects.putBytes({
    bucket: s3.bucket,
    key,
    bytes: randomBytes(bytes),
    contentType: 'application/octet-stream',
  });
}

void t.test('of a damaged piece, and what is behind it, nothing is taken', async (t) => {
  const held = 5 * MIB;
  for (const which of ['first', 'last'] as const) {
    const on = await stage(t);
    const { origin, worker, listed, sent } = on;
    const url = origin.serve(PATH, IMAGE, [{ stallAfterBytes: held }, {}]);
    await abortedAt(t, worker('a'), url, held);
    const kept = (await listed()).toSorted((x, y) => x.offset - y.offset);
    const damaged = kept.at(which === 'first' ? 0 : -1);
    await damage(on, damaged);
    const usable = damaged?.offset ?? 0;
    t.ok(usable < held && (which === 'first' || usable > 0), `a ${which} piece of ${kept.length}`);
    await comesWhole(t, worker('b'), url);
    t.equal(sent(), IMAGE.length + (held - usable) + (usable > 0 ? OVERLAP : 0));
  }
});

void t.test('what was damaged is put anew by the run that finds it', async (t) => {
  const on = await stage(t);
  const { origin, worker, listed, heldBytes, sent } = on;
  const url = origin.serve(PATH, IMAGE, [{ stallAfterBytes: 3 * MIB }, { stallAfterBytes: 2 * MIB }, {}]);
  await abortedAt(t, worker('a'), url, 3 * MIB);
  const damaged = (await listed()).find(({ offset }) => offset > 0);
  await damage(on, damaged);
  const both = (damaged?.offset ?? 0) - OVERLAP + 2 * MIB;
  await abortedAt(t, worker('b'), url, both);
  t.equal(await heldBytes(), both);
  const before = sent();
  await comesWhole(t, worker('c'), url);
  t.equal(sent() - before, IMAGE.length - both + OVERLAP);
});

void t.test('a server without ranges: nothing is put twice, however often it is cut', async (t) => {
  const { origin, worker, listed, bytesInStore, heldBytes } = await stage(t);
  const url = origin.serve(PATH, IMAGE, [
    { ranges: false, cutAfterBytes: 3 * MIB },
    { ranges: false, cutAfterBytes: 2 * MIB },
    { ranges: false, cutAfterBytes: 5 * MIB },
    { ranges: false },
  ]);
  for (const [name, most] of [
    ['a', 3 * MIB],
    ['b', 3 * MIB],
    ['c', 5 * MIB],
  ] as const) {
    await t.rejects(fetchBy(worker(name), url), { code: 'FETCH_RETRYABLE' });
    t.ok((await heldBytes()) > most - UNKEPT, `${name} leaves what has come`);
    t.ok((await bytesInStore()) <= most, `and no byte of it twice after ${name}`);
    const offsets = (await listed()).map(({ offset }) => offset);
    t.equal(new Set(offsets).size, offsets.length);
  }
  await comesWhole(t, worker('d'), url);
});

void t.test(
  'other content under the same ETag: what was kept of the older one goes, and is not preferred',
  async (t) => {
    const { origin, worker, bytesInStore, heldBytes, pieces, sent } = await stage(t);
    const etag = '"the same for both"';
    const other = randomBytes(IMAGE.length);
    const url = origin.serve(PATH, IMAGE, { etag, cutAfterBytes: 4 * MIB });
    await t.rejects(fetchBy(worker('a'), url), { code: 'FETCH_RETRYABLE' });
    origin.serve(PATH, other, [{ etag }, { etag, cutAfterBytes: 2 * MIB }, { etag }]);
    await t.rejects(fetchBy(worker('b'), url), { code: 'FETCH_RETRYABLE' });
    const isAlone = async () => (await pieces.find('image', never)).held.length === 1;
    await awaitUntil(isAlone, PATIENCE_MS, 'the older one to be removed');
    const held = await heldBytes();
    await awaitUntil(async () => (await bytesInStore()) === held, PATIENCE_MS, 'nothing else to be left');
    const before = sent();
    await comesWhole(t, worker('c'), url, other);
    t.equal(sent() - before, IMAGE.length - held + OVERLAP);
  },
);

void t.test('an own part of newer content is not given up for a longer one of the older', async (t) => {
  const { s3, origin, worker, sent } = await stage(t);
  const etag = '"the same for both"';
  const other = randomBytes(IMAGE.length);
  const url = origin.serve(PATH, IMAGE, { etag, stallAfterBytes: 4 * MIB });
  await abortedAt(t, worker('a'), url, 4 * MIB);
  origin.serve(PATH, other, [{ etag, stallAfterBytes: 2 * MIB }, { etag }]);
  const b = worker('b');
  await s3.stop();
  await abortedAt(t, b, url, 2 * MIB);
  await s3.restart();
  const before = sent();
  await comesWhole(t, b, url, other);
  t.equal(sent() - before, IMAGE.length - 2 * MIB + OVERLAP);
});

void t.test('keys that may not list: nothing is kept, and it is told once what is missing', async (t) => {
  const { s3, origin, worker } = await stage(t);
  const url = origin.serve(PATH, IMAGE);
  s3.failWith(403, (request) => request.includes('list-type=2'), 'AccessDenied');
  const a = worker('a');
  await comesWhole(t, a, url);
  t.same(a.warnings, ['downloads are not kept for other workers: the keys of the object store may not list and read']);
  t.notOk(s3.requests.some((request) => request.startsWith('PUT')));
});

void t.test('a full store is left alone for the rest of the run', async (t) => {
  const { s3, origin, worker } = await stage(t);
  const url = origin.serve(PATH, IMAGE, { stallAfterBytes: 3 * MIB });
  s3.failWith(507, (request) => request.startsWith('PUT'), 'QuotaExceeded');
  const a = worker('a');
  const aborter = new AbortController();
  const run = t.rejects(fetchBy(a, url, aborter.signal), { message: 'paused' });
  await awaitUntil(() => a.warnings.length > 0, PATIENCE_MS, 'the refusal to be told');
  aborter.abort(new Error('paused'));
  await run;
  t.equal(s3.requests.filter((request) => request.startsWith('PUT')).length, 1);
  t.equal(a.warnings.length, 1);
});

void t.test('of an image that is held already nothing is taken', async (t) => {
  const { origin, worker, pieces, sent } = await stage(t);
  const url = origin.serve(PATH, IMAGE, [{ stallAfterBytes: 2 * MIB }, {}]);
  await abortedAt(t, worker('a'), url, 2 * MIB);
  const known = (await pieces.find('image', never)).held[0]?.begun.validators;
  const [before, b] = [sent(), worker('b')];
  t.match(await b.download(url, 'image', known, never, () => undefined), { kind: 'unchanged' });
  t.equal(sent(), before);
  t.same(b.told, []);
});

void t.test('what no run can go on with is removed at once', async (t) => {
  const { origin, worker, listed, pieces } = await stage(t);
  const url = origin.serve(PATH, IMAGE, [{ stallAfterBytes: 2 * MIB }, { status: 404 }]);
  await abortedAt(t, worker('a'), url, 2 * MIB);
  t.not((await listed()).length, 0);
  await t.rejects(fetchBy(worker('b'), url), { code: 'FETCH_PERMANENT' });
  const isEmpty = async () => (await pieces.find('image', never)).objects.length === 0;
  await awaitUntil(isEmpty, PATIENCE_MS, 'all of it to be removed');
});

void t.test('what is left is removed after a week without a run, and nothing else', async (t) => {
  const { s3, origin, objects, pieces, worker, listed } = await stage(t);
  const url = origin.serve(PATH, IMAGE, { stallAfterBytes: 2 * MIB });
  await abortedAt(t, worker('a'), url, 2 * MIB);
  const image = { bucket: s3.bucket, key: `firmware/sha256/${sha256(IMAGE)}` };
  await objects.putBytes({ ...image, bytes: IMAGE, contentType: 'application/octet-stream' });
  const all = (await pieces.find('image', never)).objects.length;
  t.equal(await pieces.sweep(WEEK_MS, Date.now() + WEEK_MS - 3600_000, never), 0);
  t.equal(await pieces.sweep(WEEK_MS, Date.now() + WEEK_MS + 3600_000, never), all);
  t.same(await listed(), []);
  t.ok(await objects.stat(image.bucket, image.key));
});
