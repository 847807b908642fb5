/** What is in an archive and what its manifest says, as the programs see it with which people open it. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { createRedactor } from '@khumbu/log-redaction/redactor';
import { CodedError } from '@khumbu/shared/runtime/errors';
import { REDACTION_RULES } from '@khumbu/shared/stations/redact-rules';
import { linesInside, MAX_LINE_BYTES } from '@khumbu/station-drivers/logs/window-lines';
import type { LogNote, LogPart, LogSource } from '@khumbu/station-drivers/port';
import t, { type Test } from 'tap';
import { type ArchiveInput, createArchive } from '../src/archive/archive.js';

const MANIFEST: ArchiveInput['manifest'] = {
  station: 'cs-1',
  type: 'SecurityLog',
  window: { latest: new Date('2026-01-02T00:00:00Z') },
  created: new Date('2026-01-02T03:04:05Z'),
  software: { khumbu: '9.9.9', station: { version: 'yak-7', boot_id: 'b1' } },
};

const text = (count: number, word: string): string =>
  Array.from({ length: count }, (_, i) => `2026-01-01T00:00:00Z ${word} ${i * 7919}\n`).join('');
const bytesStream = (content: string | Buffer): Readable =>
  Readable.from([Buffer.from(content)], { objectMode: false });

/** Its bytes, then its error. */
const broken = (content: string, error: Error): Readable =>
  Readable.from(
    (async function* () {
      yield Buffer.from(content);
      throw error;
    })(),
    { objectMode: false, highWaterMark: 1 },
  );

const parts = (name: string, given: readonly (LogPart | Error)[], notes: readonly LogNote[] = []): LogSource => ({
  name,
  notes: () => notes,
  parts: (async function* () {
    for (const part of given) {
      if (part instanceof Error) throw part;
      yield part;
    }
  })(),
});

const gone = () => new CodedError('LOGS_UNAVAILABLE', 'the file went away');
const lost = () => new CodedError('STATION_UNREACHABLE', 'no route to it');

async function unpacked(t: Test, input: Omit<ArchiveInput, 'manifest'>) {
  const dir = t.testdir({ out: {} });
  const file = join(dir, 'a.tar.gz');
  await pipeline(createArchive({ manifest: MANIFEST, ...input }), createWriteStream(file));
  execFileSync('tar', ['-xzf', file, '-C', join(dir, 'out')]);
  const read = (name: string): Promise<string> => readFile(join(dir, 'out', name), 'utf8');
  return { dir: join(dir, 'out'), read, manifest: JSON.parse(await read('manifest.json')) };
}

const sha256 = (content: string): string => createHash('sha256').update(content).digest('hex');

void t.test('the manifest has sizes and digests of members and sources, versions, notes, extra members', async (t) => {
  const [one, two] = [text(3000, 'one'), text(10, 'two')];
  const sources = [
    parts(
      'ocpp',
      [
        { name: 'ocpp.log.1', stream: bytesStream(one), notes: () => [{ code: 'rotated', text: 'was ocpp.log' }] },
        { name: 'ocpp.html', stream: bytesStream(two), notes: () => [{ code: 'truncated', text: 'shrank to 10' }] },
      ],
      [{ code: 'no_access', text: '/var/log/secret.log' }],
    ),
    { name: 'journal', stream: bytesStream(one) },
  ];
  const extra = [{ name: 'depot/security.log', open: () => bytesStream('{"n":1}\n') as AsyncIterable<Buffer> }];
  const leftOut = [{ source: 'software', code: 'not_observed', text: 'why' }];
  const heard: number[] = [];
  const { manifest, read } = await unpacked(t, {
    sources,
    extra,
    leftOut,
    memberBytes: 65_536,
    onRecord: (records) => void heard.push(records),
  });
  t.match(manifest, {
    station: 'cs-1',
    software: { khumbu: '9.9.9', station: { version: 'yak-7', boot_id: 'b1' } },
    sources: [
      { name: 'ocpp', bytes: one.length + two.length, records: 3010, members: 3, sha256: sha256(one + two) },
      { name: 'journal', bytes: one.length, records: 3000, members: 2, sha256: sha256(one) },
    ],
    left_out: [
      { source: 'software', code: 'not_observed' },
      { source: 'ocpp', part: 'ocpp.html', code: 'truncated', text: 'shrank to 10' },
      { source: 'ocpp', code: 'no_access' },
    ],
    notes: [{ source: 'ocpp', part: 'ocpp.log.1', code: 'rotated' }],
    redaction: {},
  });
  const names = manifest.members.map(({ name }: { name: string }) => name);
  t.same(names, [
    'ocpp/ocpp.log.1-0001.log',
    'ocpp/ocpp.log.1-0002.log',
    'ocpp/ocpp-0001.html',
    'journal/journal-0001.log',
    'journal/journal-0002.log',
    'depot/security.log',
  ]);
  for (const { name, bytes, sha256: digest } of manifest.members) {
    const content = await read(name);
    t.same([content.length, sha256(content)], [bytes, digest], name);
  }
  t.equal(heard.at(-1), 6010, 'records are told');
});

void t.test('a part that fails in the middle leaves what came before, a line, and the parts after it', async (t) => {
  const before = text(100, 'before');
  const source = parts('files', [
    { name: 'a.log', stream: broken(before, gone()) },
    { name: 'b.log', stream: bytesStream('b\n') },
  ]);
  const { manifest, read } = await unpacked(t, { sources: [source] });
  t.equal(await read('files/a-0001.log'), before);
  t.equal(await read('files/b-0001.log'), 'b\n');
  t.match(manifest, {
    sources: [{ name: 'files', records: 101, failed: true }],
    left_out: [{ source: 'files', part: 'a.log', code: 'logs_unavailable', text: /went away/ }],
  });
});

void t.test(
  'one of several sources fails: the archive has the others; all of them: it fails with the reason',
  async (t) => {
    const failing = () => [
      { name: 'journal', stream: broken('j\n', gone()) },
      parts('files', [gone()]),
      parts('session', [{ name: 's.csv', stream: broken('', gone()) }]),
    ];
    const good = { name: 'good', stream: bytesStream('good\n') };
    const { manifest, read } = await unpacked(t, { sources: [...failing(), good] });
    t.equal(await read('good/good-0001.log'), 'good\n');
    t.equal(await read('journal/journal-0001.log'), 'j\n');
    t.same(
      manifest.left_out.map(({ source, code }: { source: string; code: string }) => [source, code]),
      [
        ['journal', 'logs_unavailable'],
        ['files', 'logs_unavailable'],
        ['session', 'logs_unavailable'],
      ],
    );
    const archive = createArchive({ manifest: MANIFEST, sources: failing() });
    archive.resume();
    t.match(await once(archive, 'error'), [{ code: 'LOGS_UNAVAILABLE' }]);
    const none = await unpacked(t, { sources: [], leftOut: [{ source: '*', code: 'station_unreachable', text: 'x' }] });
    t.match(none.manifest, { sources: [], left_out: [{ code: 'station_unreachable' }] });
  },
);

void t.test(
  'a lost station fails the archive while another try may follow, and leaves a line on the last one',
  async (t) => {
    const sources = () => [
      { name: 'good', stream: bytesStream('good\n') },
      { name: 'lost', stream: broken('some\n', lost()) },
    ];
    const archive = createArchive({ manifest: MANIFEST, sources: sources() });
    archive.resume();
    t.match(await once(archive, 'error'), [{ code: 'STATION_UNREACHABLE' }]);
    const { manifest, read } = await unpacked(t, { sources: sources(), isLastTry: true });
    t.equal(await read('lost/lost-0001.log'), 'some\n');
    t.match(manifest.left_out, [{ source: 'lost', code: 'station_unreachable' }]);
  },
);

void t.test('a source that has failed before its turn is a line as well', async (t) => {
  const early = new PassThrough();
  const first = new PassThrough();
  const archive = createArchive({
    manifest: MANIFEST,
    sources: [
      { name: 'first', stream: first },
      { name: 'early', stream: early },
    ],
  });
  const whole = buffer(archive);
  const closed = new Promise((resolve) => early.once('close', resolve));
  early.destroy(gone());
  await closed;
  first.end('first\n');
  const path = join(t.testdir(), 'a.tar.gz');
  await writeFile(path, await whole);
  const manifest = JSON.parse(execFileSync('tar', ['-xzOf', path, 'manifest.json'], { encoding: 'utf8' }));
  t.match(manifest.left_out, [{ source: 'early', code: 'logs_unavailable' }]);
});

void t.test('nothing that a rule finds gets into it, and it is counted; members of one name get another', async (t) => {
  const card = '{"idTag":"04A2B3C4D5E680"}\n';
  const redactor = createRedactor({ rules: REDACTION_RULES, key: 'the key of the depot of this test' });
  const part = () => ({ name: 'x', stream: bytesStream(card.repeat(5000)) });
  const { manifest, dir, read } = await unpacked(t, {
    sources: [parts('s', [part(), { ...part(), name: 'x.log' }])],
    redactor,
  });
  const names = (await readdir(join(dir, 's'))).toSorted();
  t.same(names, ['x-0001.log', 'x-0001.log.1']);
  for (const name of names) {
    const content = await read(`s/${name}`);
    t.notMatch(content, /04A2B3C4/);
    t.equal(new Set(content.match(/\[rfid:\w{10}\]/g)).size, 1);
  }
  t.equal(manifest.redaction.rfid_tokens, 10_000);
  t.equal(manifest.redaction.certificates, 0);
});

void t.test('nor into its manifest: not by notes, by errors, or by names of files', async (t) => {
  const redactor = createRedactor({
    rules: REDACTION_RULES,
    key: 'the key of the depot of this test',
    beginsInside: true,
  });
  const said = (where: string): string => `${where} says: password=hunter2 {"idTag":"04A2B3C4D5E680"}`;
  const note = (where: string): LogNote => ({ code: 'incomplete', text: said(where) });
  const part = (name: string, stream: Readable) => ({ name, stream, notes: () => [note(`note of ${name}`)] });
  const failed = new CodedError('LOGS_UNAVAILABLE', said('the command'));
  const { manifest, dir, read } = await unpacked(t, {
    sources: [
      parts('s', [part('a.log', bytesStream('a\n')), part('b.log', broken('b\n', failed))], [note('journalctl')]),
      parts('car', [part('00-1a-22-33-44-55.log', bytesStream('c\n')), failed]),
    ],
    leftOut: [{ source: 'software', ...note('an observation') }],
    redactor,
  });
  const told = await read('manifest.json');
  t.notMatch(told, /hunter2|04A2B3C4|00-1a-22/);
  for (const where of ['note of a.log', 'note of b.log', 'the command', 'journalctl', 'an observation'])
    t.match(told, `${where} says: password=[secret:`);
  t.equal(manifest.redaction.rfid_tokens, 7);
  const [name = ''] = await readdir(join(dir, 'car'));
  t.match(name, /^_mac_[0-9a-f]{10}_-0001\.log$/);
  t.match(manifest.left_out, [{}, {}, {}, {}, {}, { source: 'car', part: name.replace('-0001', '') }]);
});

void t.test('a MAC address in the name of a file, as names are made plain', async (t) => {
  const redactor = createRedactor({ rules: REDACTION_RULES, key: 'the key of the depot of this test' });
  const names = ['ev_00_1a_22_33_44_55', 'ev-00-1A-22-33-44-55-2', '00_1a_22_33_44_55.log', 'a_26-11-29_12-30-00.log'];
  const note: LogNote = { code: 'no_access', text: '/log/ev-00:1a:22:33:44:55.log: it may not be read' };
  const part = (name: string) => ({ name, stream: bytesStream('a\n'), notes: () => [note] });
  const { dir, manifest } = await unpacked(t, { sources: [parts('s', names.map(part))], redactor });
  const found = (await readdir(join(dir, 's'))).toSorted();
  const [, mac = ''] = /(_mac_[0-9a-f]{10}_)/.exec(found.join('\n')) ?? [];
  t.same(
    found,
    [`ev_${mac}-0001.log`, `ev-${mac}-2-0001.log`, `${mac}-0001.log`, 'a_26-11-29_12-30-00-0001.log'].toSorted(),
    'the same address has the same pseudonym',
  );
  t.match(manifest.left_out[0]?.text, /^\/log\/ev-\[mac:[0-9a-f]{10}\]\.log: it/);
});

void t.test('a secret anywhere in a line that is longer than any piece', async (t) => {
  const key = 'the key of the depot of this test';
  const context = { zoneMinutes: 0, modifiedMs: 0, takesWhole: true };
  const [head, name] = ['2026-01-01T00:00:00Z {"a":"', '","password":"'];
  const WINDOW_BYTES = 256 * 1024;
  // The end of a piece, or of a window, within the value, and within its name.
  const places = [MAX_LINE_BYTES, 2 * MAX_LINE_BYTES, WINDOW_BYTES].flatMap((end) =>
    [1, 7, 13, 18, 25].map((n) => end - n),
  );
  for (const valueAt of places) {
    const padding = 'y'.repeat(valueAt - head.length - name.length);
    const line = `${head}${padding}${name}hunter2hunter2","b":"whole"}\n`;
    t.equal(line.indexOf('hunter2'), valueAt);
    const { bytes } = linesInside(bytesStream(line), { oldest: 0, latest: Date.now() }, context);
    const stream = Readable.from(bytes, { objectMode: false });
    const redactor = createRedactor({ rules: REDACTION_RULES, key });
    const { manifest, dir } = await unpacked(t, { sources: [{ name: 's', stream }], redactor });
    const names = (await readdir(join(dir, 's'))).toSorted();
    const content = (await Promise.all(names.map((name) => readFile(join(dir, 's', name), 'latin1')))).join('');
    t.notOk(/hunter|ter2/.test(content));
    t.equal(manifest.redaction.credentials, 1);
    const [before, rest] = content.split(/\[\w+:\w+\]|\[\w+\]/);
    t.ok(`${before}hunter2hunter2${rest}` === line, 'all else is there, as it was');
  }
});

const PROGRAMS: Record<string, { probe: string[]; list: (file: string) => string[]; formats: string[] }> = {
  'GNU tar': { probe: ['tar', '--version'], list: (file) => ['tar', '-tf', file], formats: ['gz', 'zst'] },
  bsdtar: { probe: ['bsdtar', '--version'], list: (file) => ['bsdtar', '-tf', file], formats: ['gz', 'zst'] },
  '7-Zip': {
    probe: ['7z', 'i'],
    list: (file) => ['sh', '-c', '7z x -so "$0" | 7z l -si -ttar -ba', file],
    formats: ['gz'],
  },
  busybox: { probe: ['busybox', 'tar', '--help'], list: (file) => ['busybox', 'tar', '-tzf', file], formats: ['gz'] },
  Python: {
    probe: ['python3', '--version'],
    list: (file) => ['python3', '-c', 'import sys, tarfile; tarfile.open(sys.argv[1]).list()', file],
    formats: ['gz'],
  },
};

void t.test('opens with what people have, in both formats', async (t) => {
  const long = text(40_000, 'a line of a journal');
  for (const format of ['gzip', 'zstd'] as const) {
    const suffix = format === 'gzip' ? 'gz' : 'zst';
    const sources = () => [parts('ocpp', [{ name: 'ocpp.log', stream: bytesStream(long) }])];
    const make = () => buffer(createArchive({ manifest: MANIFEST, sources: sources(), compression: { format } }));
    const file = join(t.testdir(), `a.tar.${suffix}`);
    await writeFile(file, await make());
    t.ok((await make()).equals(await readFile(file)), `${format}: the same bytes again`);
    for (const [program, { probe, list, formats }] of Object.entries(PROGRAMS)) {
      if (!formats.includes(suffix)) continue;
      const [command = '', ...args] = probe;
      try {
        execFileSync(command, args, { stdio: 'ignore' });
      } catch {
        t.pass(program, { skip: 'not installed' });
        continue;
      }
      const [tool = '', ...rest] = list(file);
      const names = execFileSync(tool, rest, { encoding: 'utf8' });
      t.match(names, /ocpp\/ocpp-0001\.log/, `${program}, ${format}`);
      t.match(names, /manifest\.json/, `${program}, ${format}`);
    }
    const unpack = format === 'gzip' ? 'gzip' : 'zstd';
    execFileSync(unpack, ['-t', '-q', file]);
    const members = ['--wildcards', 'ocpp/ocpp-*.log'];
    const content = execFileSync('tar', ['-xOf', file, ...members], { encoding: 'utf8', maxBuffer: 2 ** 24 });
    t.ok(content === long, `${format}: what went in`);
  }
});
