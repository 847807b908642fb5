import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { setImmediate } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import type { LogStream } from '@khumbu/station-drivers/port';
import { within } from '@khumbu/test-support/events';
import t, { type Test } from 'tap';
import { extract } from 'tar-stream';
import { type ArchiveInput, createArchive } from '../src/archive/archive.js';
import { ParallelGzip } from '../src/archive/parallel-gzip.js';
import { ZstdFrames } from '../src/archive/zstd-frames.js';

const MIB = 1024 * 1024;
const MANIFEST: ArchiveInput['manifest'] = {
  station: 'cs-1',
  type: 'DiagnosticsLog',
  window: { oldest: new Date('2026-01-01T00:00:00Z') },
  created: new Date('2026-01-02T03:04:05Z'),
};

const lines = (count: number, word: string): Buffer =>
  Buffer.from(Array.from({ length: count }, (_, i) => `2026-01-01T00:00:00Z ${word} record ${i * 7919}\n`).join(''));

/** A source that hands out its bytes in pieces of odd sizes. */
function source(name: string, bytes: Buffer, pieceBytes = 1013): LogStream {
  function* pieces() {
    for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
  }
  return { name, stream: Readable.from(pieces(), { objectMode: false }) };
}

async function unpack(test: Test, archive: Readable): Promise<{ dir: string; names: string[] }> {
  const dir = test.testdir({ out: {} });
  const file = join(dir, 'logs.tar.gz');
  await pipeline(archive, createWriteStream(file));
  execFileSync('gzip', ['-t', file]);
  const names = execFileSync('tar', ['-tzf', file], { encoding: 'utf8' }).trim().split('\n');
  execFileSync('tar', ['-xzf', file, '-C', join(dir, 'out')]);
  return { dir: join(dir, 'out'), names };
}

void t.test('the system tar reads it; members are whole lines and together the source', async (t) => {
  const journal = lines(20_000, 'journal');
  const tail = Buffer.concat([lines(3, 'everest'), Buffer.from('no line end')]);
  const sources = [source('journal', journal), source('everest', tail), source('empty', Buffer.alloc(0))];
  const { dir, names } = await unpack(t, createArchive({ sources, manifest: MANIFEST, memberBytes: 256 * 1024 }));
  const members = names.filter((name) => name.startsWith('journal/'));
  t.equal(members[0], 'journal/journal-0001.log');
  t.equal(members.length, Math.ceil(journal.length / (256 * 1024)));
  t.equal(names.at(-1), 'manifest.json');
  const parts = await Promise.all(members.map((name) => readFile(join(dir, name))));
  for (const part of parts) {
    t.ok(part.length <= 256 * 1024);
    t.equal(part.at(-1), 0x0a, 'ends with a line end');
  }
  t.ok(Buffer.concat(parts).equals(journal));
  t.ok((await readFile(join(dir, 'everest/everest-0001.log'))).equals(tail));
  const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
  const { members: listed, ...manifest } = JSON.parse(await readFile(join(dir, 'manifest.json'), 'utf8'));
  t.same(manifest, {
    station: 'cs-1',
    type: 'DiagnosticsLog',
    window: { oldest: '2026-01-01T00:00:00.000Z' },
    created: '2026-01-02T03:04:05.000Z',
    sources: [
      { name: 'journal', bytes: journal.length, records: 20_000, members: members.length, sha256: digest(journal) },
      { name: 'everest', bytes: tail.length, records: 4, members: 1, sha256: digest(tail) },
      { name: 'empty', bytes: 0, records: 0, members: 0, sha256: digest(Buffer.alloc(0)) },
    ],
    left_out: [],
    notes: [],
    redaction: {},
  });
  t.same(
    listed.map(({ name }: { name: string }) => name),
    names.filter((name) => name !== 'manifest.json'),
  );
  t.notOk((await readdir(dir)).includes('empty'));
});

void t.test('lines longer than a member, and members of exactly full size', async (t) => {
  const long = Buffer.concat([Buffer.alloc(2500, 'x'), Buffer.from('\n'), Buffer.alloc(999, 'y'), Buffer.from('\n')]);
  const exact = Buffer.from(`${'z'.repeat(999)}\n`.repeat(3));
  for (const bytes of [long, exact]) {
    const archive = createArchive({ sources: [source('s', bytes, 700)], manifest: MANIFEST, memberBytes: 1000 });
    const { dir, names } = await unpack(t, archive);
    const parts = await Promise.all(names.slice(0, -1).map((name) => readFile(join(dir, name))));
    t.ok(Buffer.concat(parts).equals(bytes));
    t.ok(parts.every((part) => part.length <= 1000));
    if (bytes === exact)
      t.same(
        parts.map((part) => part.length),
        [1000, 1000, 1000],
      );
  }
});

void t.test('two runs over the same records are identical', async (t) => {
  const run = (pieceBytes: number) =>
    buffer(createArchive({ sources: [source('s', lines(50_000, 'same'), pieceBytes)], manifest: MANIFEST }));
  t.ok((await run(777)).equals(await run(65_536)));
  t.throws(() => createArchive({ sources: [source('../x', Buffer.alloc(0))], manifest: MANIFEST }), {
    code: 'ARCHIVE_INVALID',
  });
});

void t.test('parallel gzip is one member, whatever the sizes', async (t) => {
  for (const size of [0, 1, MIB - 1, MIB, MIB + 1, 5 * MIB + 17]) {
    const bytes = lines(Math.ceil(size / 40) + 1, 'gz').subarray(0, size);
    const packed = await buffer(Readable.from([bytes], { objectMode: false }).pipe(new ParallelGzip({ level: 1 })));
    t.ok(gunzipSync(packed).equals(bytes), `${size} bytes`);
    t.equal(packed.indexOf(Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]), 1), -1);
  }
});

void t.test('an error of any source, the one being read or a later one, destroys the archive with it', async (t) => {
  for (const failing of [0, 1]) {
    const lost = Object.assign(new Error('gone'), { code: 'STATION_UNREACHABLE' });
    const streams = [new PassThrough(), new PassThrough()];
    const sources = streams.map((stream, i) => ({ name: `s${i}`, stream }));
    streams[0]?.write(lines(1000, 'a'));
    const archive = createArchive({ sources, manifest: MANIFEST });
    archive.resume();
    const closed = streams.map((stream) => new Promise((resolve) => stream.once('close', resolve)));
    streams[failing]?.destroy(lost);
    const [error] = await once(archive, 'error');
    t.equal(error, lost);
    await Promise.all(closed);
  }
});

void t.test('an abort ends it even when a source hangs; so does its reader', async (t) => {
  const abort = new AbortController();
  const hanging = Readable.from(
    (async function* () {
      yield Buffer.from('a\n');
      await new Promise(() => undefined);
    })(),
  );
  const archive = createArchive({
    sources: [{ name: 's', stream: hanging }],
    manifest: MANIFEST,
    signal: abort.signal,
  });
  archive.resume();
  const ended = once(archive, 'error');
  abort.abort();
  t.match(await ended, [{ code: 'ABORTED' }]);
  t.ok(hanging.destroyed);

  const stream = new PassThrough();
  const given = createArchive({ sources: [{ name: 's', stream }], manifest: MANIFEST });
  const closed = once(stream, 'close');
  given.destroy();
  await closed;
  t.ok(stream.destroyed);
});

void t.test('a slow reader slows the source: memory stays bounded', async (t) => {
  let handedOut = 0;
  // Noise does not get smaller: what has not been read is held somewhere.
  const noise = randomBytes(64 * 1024);
  const stream = Readable.from(
    (function* () {
      for (; handedOut < 64 * MIB; handedOut += noise.length) yield noise;
    })(),
    { objectMode: false },
  );
  let taken = 0;
  let held = 0;
  for await (const chunk of createArchive({
    sources: [{ name: 's', stream }],
    manifest: MANIFEST,
    compression: { format: 'gzip', level: 0 },
  })) {
    for (let turn = 0; turn < 20; turn += 1) await setImmediate();
    held = Math.max(held, handedOut - taken);
    taken += (chunk as Buffer).length;
  }
  t.ok(taken > 64 * MIB);
  t.ok(held < 24 * MIB, `${held / MIB} MiB`);
});

for (const format of ['gzip', 'zstd'] as const)
  void t.test(`${format}: an abort while nobody reads`, async (t) => {
    const abort = new AbortController();
    const sources = [source('s', randomBytes(40 * MIB), MIB)];
    const archive = createArchive({ sources, manifest: MANIFEST, compression: { format }, signal: abort.signal });
    await once(archive, 'readable');
    const closed = new Promise((resolve) => sources[0]?.stream.once('close', resolve));
    const ended = once(archive, 'error');
    abort.abort();
    t.match(await ended, [{ code: 'ABORTED' }]);
    await closed;
  });

const compressors = { gzip: ParallelGzip, zstd: ZstdFrames };
for (const [format, Compressor] of Object.entries(compressors))
  void t.test(`${format}: what is destroyed within a piece works on it no longer`, async (t) => {
    const piece = randomBytes(3 * MIB);
    const absorbed = new Promise<Buffer>((resolve) => {
      const compressor = new Compressor({ level: 1, onAbsorbed: resolve });
      compressor.write(piece);
      compressor.destroy();
    });
    t.ok((await within(absorbed, 20_000, 'the piece to be let go')) === piece);
  });

void t.test('members carry the time of the manifest', async (t) => {
  const archive = createArchive({ sources: [source('s', lines(10, 'x'))], manifest: MANIFEST });
  const path = join(t.testdir(), 'a.tar');
  await writeFile(path, gunzipSync(await buffer(archive)));
  const times: (Date | undefined)[] = [];
  for await (const entry of createReadStream(path).pipe(extract())) {
    times.push(entry.header.mtime);
    entry.resume();
  }
  t.same(times, [MANIFEST.created, MANIFEST.created]);
});
