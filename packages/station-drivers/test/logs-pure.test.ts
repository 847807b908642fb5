/** What logs are judged by, without a station. */
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import t from 'tap';
import { readParts } from '../src/logs/boundary.js';
import { filesToRead } from '../src/logs/file-order.js';
import { createExportReader } from '../src/logs/journal-export.js';
import { readJsonRecord } from '../src/logs/journal-json.js';
import type { JournalRecord } from '../src/logs/journal-record.js';
import { type ListedFile, readListing } from '../src/logs/listing.js';
import { standingOfJournal } from '../src/logs/open-logs.js';
import { createPlainNames } from '../src/logs/plain-name.js';
import { plannedSources } from '../src/logs/planned-sources.js';
import { createTimeReader } from '../src/logs/record-times.js';
import { LineCutter, linesInside, MAX_LINE_BYTES } from '../src/logs/window-lines.js';

void t.test('times of records', (t) => {
  const noon = Date.UTC(2026, 10, 29, 12);
  const table: readonly (readonly [line: string, ms: number | undefined])[] = [
    ['2026-11-29T12:00:00Z x', noon],
    ['2026-11-29T12:00:00.123456Z x', noon + 123],
    ['2026-11-29T13:00:00,5+01:00 x', noon + 500],
    ['2026-11-29 14:00:00.999999 [INFO] manager :: x', noon + 999],
    ['[2026-11-29T12:00:00Z] x', noon],
    ['"2026-11-29T12:00:00.000Z","EVSE","x"', noon],
    ['<tr class="SYS"> <td>2026-11-29T12:00:00.000Z</td>', noon],
    ['<13>1 2026-11-29T12:00:00Z host', noon],
    ['{"type":"x","timestamp":"2026-11-29T12:00:00.250Z"}', noon + 250],
    ['Nov 29 14:00:00 host sshd[1]: x', noon],
    ['Dec 31 14:00:00 host sshd[1]: x', Date.UTC(2025, 11, 31, 12)],
    ['<86>Nov  1 14:00:00 host x', Date.UTC(2026, 10, 1, 12)],
    [`${noon / 1000} x`, noon],
    [`${noon / 1000}.25 x`, noon + 250],
    [`[${noon}] x`, noon],
    [`${noon}007 x`, noon],
    ['  "timestamp": "2026-11-29T12:00:00Z"', undefined],
    ['[', undefined],
    ['at 2026-11-29T12:00:00Z', undefined],
    ['12345 x', undefined],
    ['', undefined],
  ];
  // A station two hours ahead of UTC.
  for (const [line, ms] of table) t.equal(createTimeReader({ zoneMinutes: 120, modifiedMs: noon })(line), ms, line);
  const reader = createTimeReader({ zoneMinutes: 0, modifiedMs: noon });
  t.equal(reader('2026-11-29T12:00:00Z x'), noon);
  t.equal(reader(`${noon / 1000} a value in the record`), undefined, 'one file has one format');
  t.end();
});

void t.test('times without a zone, by the zone that the station had then', (t) => {
  const inBerlin = (zoneMinutes: number) => createTimeReader({ zone: 'Europe/Berlin', zoneMinutes, modifiedMs: 0 });
  // Read after the change, and before it.
  for (const zoneMinutes of [60, 120]) {
    const spring = inBerlin(zoneMinutes);
    const table: readonly (readonly [local: string, utc: string])[] = [
      ['2027-03-27 02:30:00', '2027-03-27T01:30:00Z'],
      ['2027-03-28 01:59:59', '2027-03-28T00:59:59Z'],
      ['2027-03-28 03:00:00', '2027-03-28T01:00:00Z'],
      ['2027-10-31 01:30:00', '2027-10-30T23:30:00Z'],
      ['2027-10-31 02:10:00', '2027-10-31T00:10:00Z'],
      ['2027-10-31 02:50:00', '2027-10-31T00:50:00Z'],
      ['2027-10-31 02:20:00', '2027-10-31T01:20:00Z'],
      ['2027-10-31 02:50:00', '2027-10-31T01:50:00Z'],
      ['2027-10-31 03:00:00', '2027-10-31T02:00:00Z'],
    ];
    for (const [local, utc] of table) t.equal(spring(`${local} x`), Date.parse(utc), local);
  }
  t.equal(inBerlin(60)('2027-03-28 02:30:00 x'), Date.UTC(2027, 2, 28, 1, 30), 'a time that the clock left out');
  const august = Date.UTC(2026, 7, 1);
  const syslog = createTimeReader({ zone: 'America/New_York', zoneMinutes: -300, modifiedMs: august });
  t.equal(syslog('Jul 31 12:00:00 host x'), Date.UTC(2026, 6, 31, 16));
  const now = (zone: string, offset: string) =>
    readListing(Buffer.from(`@now ${20 + zone.length}\n1785585600 ${offset} 1  ${zone}\n`)).now;
  t.match(now('Europe/Berlin', '+0200'), { zone: 'Europe/Berlin', zoneMinutes: 120 });
  t.equal(now('Europe/Berlin', '+0100').zone, undefined, 'another than the station says it has');
  t.equal(now('Mars/Olympus', '+0200').zone, undefined);
  t.equal(now('', '+0200').zone, undefined);
  t.end();
});

const listed = (path: string, day: number, more: Partial<ListedFile> = {}): ListedFile => ({
  inode: `1:${path}`,
  sizeBytes: 10,
  modifiedMs: Date.UTC(2026, 10, day),
  isReadable: true,
  path,
  ...more,
});

void t.test('which files are read, and in which order', (t) => {
  const now = Date.UTC(2026, 10, 30);
  const read = (files: readonly ListedFile[], oldest: number, nowMs = now) =>
    filesToRead(files, { oldest, latest: Number.POSITIVE_INFINITY }, nowMs).map(({ path }) => path);
  const rotated = [listed('a.log', 29), listed('a.log.1', 20), listed('a.log.2.gz', 10)];
  t.same(read(rotated, 0), ['a.log.2.gz', 'a.log.1', 'a.log']);
  t.same(read(rotated, Date.UTC(2026, 10, 15)), ['a.log.1', 'a.log']);
  t.same(
    read([listed('a.log', 9), listed('a.log.1', 8), listed('a.log.2', 20)], 0),
    ['a.log.2', 'a.log.1', 'a.log'],
    'the clock was set back on the 20th',
  );
  t.same(read([listed('a.log', 9), listed('a.log.1', 20)], 0), ['a.log.1', 'a.log']);
  t.same(
    read([listed('a.log', 1), listed('a.log.1', 20), listed('a.log.2', 10)], Date.UTC(2026, 10, 15)),
    ['a.log.1', 'a.log'],
    'written to after one that counts, whatever its time',
  );
  t.same(
    read([listed('a.log', 1)], Date.UTC(2026, 10, 15), Date.UTC(2026, 10, 2)),
    ['a.log'],
    'the clock is before the window',
  );
  t.same(read([listed('a.log', 1)], Date.UTC(2026, 10, 15)), []);
  t.same(
    read([listed('a.log', 9), listed('a.log.1', 5), listed('a.log.2', 6), listed('a.log.3', 7)], 0),
    ['a.log.1', 'a.log.2', 'a.log.3', 'a.log'],
    'numbered the other way round',
  );
  t.same(read([listed('a-1', 2), listed('a-2', 1)], 0), ['a-2', 'a-1'], 'no rotation that we know: by time');
  t.same(
    read([listed('a-20261109', 9), listed('a-20261108', 8), listed('a', 7)], 0),
    ['a-20261108', 'a-20261109', 'a'],
    'dates',
  );
  const dated = (day: number, name: string): ListedFile => listed(`a.log${name}`, day + 1);
  for (const nameOf of [
    (day: number) => `.2026-11-${day}`,
    (day: number) => `-202611${day}-1234`,
    (day: number) => `.2026-11-${day}_02-30`,
  ]) {
    const files = [...[18, 19, 28, 29, 30].map((day) => dated(day, nameOf(day))), dated(31, '')];
    t.same(
      read(files, Date.UTC(2026, 11, 1, 2), Date.UTC(2026, 11, 2, 2)),
      [`a.log${nameOf(30)}`, 'a.log'],
      'the last digits of a date are no number of a rotation',
    );
  }
  for (const names of [
    ['.2026-10', '.2026-11'],
    ['-202610', '-202611'],
    ['-2026-W47', '-2026-W48'],
    ['.2025', '.2026'],
  ] as const) {
    const files = [listed(`a.log${names[0]}`, 10), listed(`a.log${names[1]}`, 20), listed('a.log', 29)];
    t.same(
      read(files, Date.UTC(2026, 10, 15)),
      [`a.log${names[1]}`, 'a.log'],
      'nor are those of a month, a week or a year',
    );
  }
  t.end();
});

void t.test('lines behind a clock that was set back to before the window', async (t) => {
  const line = (time: string, rest = ''): string => `2026-11-29T${time}Z${rest}\n`;
  const bounded = { oldest: Date.UTC(2026, 10, 29, 10), latest: Date.UTC(2026, 10, 29, 12) };
  const open = { ...bounded, latest: Number.POSITIVE_INFINITY };
  const inside = async (lines: readonly string[], before?: number, window = bounded) => {
    const furthest = Date.UTC(2026, 10, 30);
    const context = { zoneMinutes: 0, modifiedMs: 0, takesWhole: true, before, furthest };
    const { bytes, seen } = linesInside(Readable.from([Buffer.from(lines.join(''))]), window, context);
    return { kept: await text(Readable.from(bytes)), seen };
  };
  const [early, there, late] = [line('09:30:00'), line('11:00:00'), line('11:30:00', ' last')];
  const behind = [line('09:10:00', ' behind'), '  more of it\n', line('09:20:00'), line('10:10:00')];
  const step = await inside([early, there, late, ...behind, line('12:10:00')]);
  t.equal(step.kept, [there, late, ...behind].join(''));
  t.equal(step.seen.clock.carried, 2);
  t.equal(
    (await inside([early, there, late, line('09:10:00'), line('09:41:00')])).kept,
    there + late + line('09:10:00'),
  );
  t.equal((await inside([line('09:50:00'), line('09:10:00'), there])).kept, there, 'one that was before the window');
  const newestFirst = await inside([late, there, line('10:05:00'), early, line('09:20:00'), line('09:10:00')]);
  t.notMatch(newestFirst.kept, /09:[12]0/, 'no clock goes back with each record');
  const next = await inside(behind, Date.UTC(2026, 10, 29, 11, 30));
  t.equal(next.kept, behind.join(''), 'of the file behind one that ended in the window');
  t.same(next.seen.steps, []);
  const ahead = await inside([there, line('12:30:00'), there]);
  t.equal(ahead.kept, there + there);
  t.ok(ahead.seen.clock.leavesAhead);
  const wrong = ['2038-01-19T03:14:07Z\n', early, line('09:40:00'), there, late];
  t.equal((await inside(wrong, undefined, open)).kept, wrong[0] + there + late, 'no clock that was right says 2038');
  t.equal((await inside(wrong.slice(1), Date.UTC(2038, 0), open)).kept, there + late, 'nor one of the file before');
  const first = (minute: number): string => `1970-01-01T00:0${minute}:00Z\n`;
  const boots = [there, first(0), first(1), line('11:10:00'), line('11:20:00'), first(0), first(2), late];
  for (const window of [bounded, open]) {
    const rebooted = await inside(boots, undefined, window);
    t.equal(rebooted.kept, boots.join(''), 'a clock without a battery, twice');
    t.equal(rebooted.seen.clock.reached, Date.UTC(2026, 10, 29, 11, 30));
  }
});

void t.test('what a station streams is told apart at any cut', async (t) => {
  const binary = Buffer.from([0, 1, 0x0a, 0xff, 0x0a]);
  const whole = Buffer.concat([
    Buffer.from('\nB begin 1\none\ntwo'),
    Buffer.from('\nB end 1 0 7 a b.log\n'),
    Buffer.from('\nB begin 2\n'),
    binary,
    Buffer.from('\nB end 2 vanished\n\nB begin 3\n\nB end 3 \n'),
  ]);
  const read = async (stream: Readable) => {
    const parts: unknown[] = [];
    for await (const part of readParts(stream, 'B')) {
      const content = Buffer.concat(await Readable.from(part.bytes).toArray());
      parts.push([part.number, content.toString('latin1'), part.words()]);
    }
    return parts;
  };
  for (let size = 1; size < 40; size += 1) {
    const pieces = Array.from({ length: Math.ceil(whole.length / size) }, (_none, n) =>
      whole.subarray(n * size, (n + 1) * size),
    );
    t.same(await read(Readable.from(pieces)), [
      [1, 'one\ntwo', '0 7 a b.log'],
      [2, binary.toString('latin1'), 'vanished'],
      [3, '', ''],
    ]);
  }
  const skipped: string[] = [];
  for await (const part of readParts(Readable.from([whole]), 'B'))
    if (part.number === 2) skipped.push(await text(part.bytes));
  t.equal(skipped.length, 1, 'a part that nobody reads is passed over');
  for (const end of [5, 14, 30, whole.length - 2])
    await t.rejects(read(Readable.from([whole.subarray(0, end)])), { code: 'LOGS_UNAVAILABLE' });
  await t.rejects(read(Readable.from([Buffer.from('hello\n')])), { code: 'LOGS_UNAVAILABLE' });
});

void t.test('both forms of a journal are the same records, at any cut', (t) => {
  const long = Buffer.alloc(8);
  long.writeBigUInt64LE(5n);
  const exported = Buffer.concat([
    Buffer.from(
      '__REALTIME_TIMESTAMP=1\n__MONOTONIC_TIMESTAMP=2\n_BOOT_ID=a\nMESSAGE=x = y\nPRIORITY=3\nUNIT=a.service\n\n',
    ),
    Buffer.from('__REALTIME_TIMESTAMP=3\nMESSAGE\n'),
    long,
    Buffer.from('a\n\n=b\nMESSAGE=two\nX=1\n\n'),
  ]);
  const expected = [
    { realtime: '1', monotonic: '2', boot: 'a', message: 'x = y', priority: '3', unit: 'a.service', more: [] },
    { realtime: '3', message: 'a\n\n=b\ntwo', more: [['X', '1']] },
  ];
  for (let size = 1; size < exported.length + 1; size += 1) {
    const records: JournalRecord[] = [];
    const reader = createExportReader(['X'], (record) => records.push(record));
    for (let from = 0; from < exported.length; from += size) reader.push(exported.subarray(from, from + size));
    t.ok(reader.end());
    t.match(records, expected);
    t.equal(records.length, 2);
  }
  const read = (entry: object) => readJsonRecord(JSON.stringify(entry), ['X']);
  t.match(read({ __REALTIME_TIMESTAMP: '3', MESSAGE: [[97, 10, 10, 61, 98], 'two'], X: '1' }), expected[1]);
  t.match(read({ MESSAGE: null }), { message: '' });
  t.match(read({ MESSAGE: [255, 0] }), { message: '\u00ff\u0000' });
  t.match(read({ MESSAGE: 'ä' }), { message: Buffer.from('ä').toString('latin1') });
  t.equal(readJsonRecord('-- No entries --', []), undefined);
  const huge = Buffer.from('MESSAGE\n\xff\xff\xff\xff\xff\xff\xff\x7f', 'latin1');
  t.throws(() => createExportReader([], () => {}).push(huge), { code: 'LOGS_UNAVAILABLE' });
  t.end();
});

void t.test('names for archives', (t) => {
  const nameOf = createPlainNames();
  const names = [
    'a.log',
    'A.log',
    'a.log',
    '../../etc/passwd',
    '',
    '..',
    '.hidden',
    'ä b',
    `${'x'.repeat(300)}.log`,
  ].map(nameOf);
  t.same(names.slice(0, 8), ['a.log', 'A.log-2', 'a.log-3', '__._etc_passwd', '_', '_-2', '_hidden', '_b']);
  t.ok(names.every((name) => /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/.test(name)));
  t.equal(new Set(names).size, names.length);
  t.end();
});

void t.test('which sources a station has', (t) => {
  const base = { profile: 'rauc' as const };
  const namesOf = (
    entry: Parameters<typeof plannedSources>[0],
    type: 'DiagnosticsLog' | 'SecurityLog' = 'DiagnosticsLog',
  ) => plannedSources(entry, type).map(({ name, isNamed }) => `${name}${isNamed ? '' : '?'}`);
  t.same(namesOf(base), ['journal?', 'ocpp?', 'session?']);
  t.same(namesOf(base, 'SecurityLog'), ['journal?', 'security?']);
  t.match(plannedSources({ ...base, restart_everest: ['sudo', 'systemctl', 'restart', 'charger'] }, 'DiagnosticsLog'), [
    { argv: ['journalctl', '--no-pager', '--unit=charger'] },
  ]);
  t.match(plannedSources(base, 'SecurityLog'), [{ argv: ['journalctl', '--no-pager', '--facility=auth,authpriv'] }]);
  const command = { install: ['i'], evidence: ['e'] };
  t.same(namesOf({ profile: 'command', command }), []);
  t.same(namesOf({ profile: 'command', command: { ...command, logs: ['l'] } }, 'SecurityLog'), ['security']);
  const logs = {
    DiagnosticsLog: [{ files: ['/a'] }, { files: ['/b'] }, { files: ['/c'], name: 'files-2' }, { command: ['c'] }],
  };
  t.same(namesOf({ profile: 'command', command: { ...command, logs: ['l'] }, logs }), [
    'files',
    'files-3',
    'files-2',
    'command',
  ]);
  t.same(namesOf({ ...base, logs: { DiagnosticsLog: [] } }), []);
  t.end();
});

void t.test('lines are cut, and what has no end yet keeps nothing of the piece that it came with', (t) => {
  const cutter = new LineCutter();
  const linesOf = (piece: Buffer): readonly string[] => [...cutter.push(piece)].map((bytes) => bytes.toString());
  const piece = Buffer.from('one\ntw');
  t.same(linesOf(piece), ['one\n']);
  t.equal(cutter.heldBytes, 2);
  piece.fill('x');
  t.same(linesOf(Buffer.from('o\n\nthr')), ['two\n', '\n']);
  t.same([...cutter.cut()].map(String), ['thr\n'], 'given up: it goes on in the next one');
  t.ok(cutter.isCut);
  t.same(linesOf(Buffer.from('ee\nlast')), ['ee\n']);
  t.same([...cutter.end()].map(String), ['last']);
  t.equal(cutter.heldBytes, 0);
  t.same([...cutter.cut(), ...cutter.end()], []);
  const long = linesOf(Buffer.from(`${'y'.repeat(MAX_LINE_BYTES + 10)}\n`));
  t.same(
    long.map((line) => line.length),
    [MAX_LINE_BYTES, 11],
    'in pieces that are together what was there',
  );
  t.end();
});

void t.test('a date in the middle of a long line is no time of a record', async (t) => {
  const line = (day: string, rest: string): string => `2026-11-${day}T00:00:00Z ${rest}\n`;
  const pad = 'y'.repeat(MAX_LINE_BYTES - line('27', '').length + 1);
  const [long, next, outside] = [line('27', `${pad}${line('01', 'x').trimEnd()}`), line('27', 'next'), line('30', 'x')];
  const window = { oldest: Date.UTC(2026, 10, 26), latest: Date.UTC(2026, 10, 28) };
  const context = { zoneMinutes: 0, modifiedMs: 0, takesWhole: true };
  const { bytes, seen } = linesInside(Readable.from([Buffer.from(long + outside + next)]), window, context);
  t.ok((await text(Readable.from(bytes))) === long + next);
  t.same(
    seen.steps.map(({ from, to }) => [from, to]),
    [[Date.UTC(2026, 10, 30), Date.UTC(2026, 10, 27)]],
    'of the record before, not of the date',
  );
});

void t.test('what goes on with a line that is left out is left out with it', async (t) => {
  const line = (day: string, rest: string): string => `2026-11-${day}T00:00:00Z ${rest}\n`;
  const window = { oldest: Date.UTC(2026, 10, 26), latest: Date.UTC(2026, 10, 28) };
  const inside = async (takesWhole: boolean, content: string): Promise<string> => {
    const context = { zoneMinutes: 0, modifiedMs: 0, takesWhole };
    return text(Readable.from(linesInside(Readable.from([Buffer.from(content)]), window, context).bytes));
  };
  const long = `"password":"${'y'.repeat(MAX_LINE_BYTES)}ter2"\n`;
  t.ok((await inside(false, long + line('27', 'x'))) === line('27', 'x'), 'before any time');
  t.ok((await inside(true, long + line('27', 'x'))) === long + line('27', 'x'));
  t.ok((await inside(true, line('01', long.trimEnd()) + line('27', 'x'))) === line('27', 'x'), 'outside the window');
});

void t.test('of a line that was cut the rest is left out where it may not be read alone', (t) => {
  const cutter = new LineCutter({ dropsRest: true });
  const linesOf = (text: string): readonly string[] => [...cutter.push(Buffer.from(text))].map(String);
  t.same(linesOf('"password":"hun'), []);
  t.same([...cutter.cut()].map(String), ['"password":"hun\n']);
  t.same(linesOf('ter2"'), []);
  t.ok(cutter.isSkipping);
  t.same(linesOf('}\nnext\n'), ['next\n']);
  t.notOk(cutter.isSkipping);
  const [long, ...more] = linesOf(`${'y'.repeat(MAX_LINE_BYTES)}ter2"\nnext\n`);
  t.same([long?.length, more], [MAX_LINE_BYTES + 1, ['next\n']], 'longer than a line may be');
  t.same(linesOf('begun'), []);
  cutter.skipLine();
  t.same([...linesOf('rest\nnext'), ...cutter.end()].map(String), ['next']);
  t.end();
});

void t.test('a few bytes keep no room that a long line needed', (t) => {
  const cutter = new LineCutter();
  const linesOf = (text: string): number => [...cutter.push(Buffer.from(text))].length;
  t.equal(linesOf('y'.repeat(20_000)) + linesOf('y'.repeat(10_000)), 0);
  t.ok(cutter.roomBytes >= 30_000);
  t.equal(linesOf('\nx'), 1);
  t.ok(cutter.roomBytes >= 30_000, 'what is held is counted as the room that it takes');
  cutter.giveBack();
  t.same([cutter.heldBytes, cutter.roomBytes], [1, 1]);
  t.equal(linesOf('y\n'), 1);
  t.equal(cutter.roomBytes, 0);
  t.end();
});

void t.test('no records and no error can mean that none may be seen', (t) => {
  const of = (known: number, files: number, readable: number, said: string) =>
    standingOfJournal({ kind: 'journal', boots: [], known, files, readable, said });
  t.match(of(3, 2, 2, ''), { isOut: false, notes: [] });
  t.match(of(0, 2, 0, ''), { isOut: true, notes: [{ code: 'no_access' }] });
  t.match(of(0, 0, 0, ''), { isOut: true, notes: [{ code: 'missing' }] });
  t.match(of(1, 2, 2, 'Hint: You are currently not seeing messages from other users and the system.'), {
    isOut: true,
    notes: [{ code: 'no_access' }],
  });
  t.match(of(1, 2, 2, 'Journal file x is truncated, ignoring file.'), {
    isOut: false,
    notes: [{ code: 'incomplete' }],
  });
  t.end();
});
