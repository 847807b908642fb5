/** What logs are judged by, without a station. */
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import t from 'tap';
import { readParts } from '../src/logs/boundary.js';
import { createExportReader } from '../src/logs/journal-export.js';
import { readJsonRecord } from '../src/logs/journal-json.js';
import type { JournalRecord } from '../src/logs/journal-record.js';
import { microsPattern } from '../src/logs/micros-pattern.js';
import { standingOfJournal } from '../src/logs/open-logs.js';
import { createPlainNames } from '../src/logs/plain-name.js';
import { plannedSources } from '../src/logs/planned-sources.js';
import { createTimeReader } from '../src/logs/record-times.js';
import { LineCutter, linesInside, MAX_LINE_BYTES } from '../src/logs/window-lines.js';

void t.test('a pattern of times matches every microsecond of the seconds of its range, and no others', (t) => {
  const ranges = [
    [0, 0],
    [0, 999],
    [1000, 9_999],
    [9_000, 1_000_000],
    [1_795_953_599_000, 1_795_953_600_999],
    [999_999_000, 10_000_000_500],
    [0, Date.UTC(9999, 11, 31)],
  ] as const;
  for (const [oldest, latest] of ranges) {
    const pattern = new RegExp(microsPattern(oldest, latest));
    const matches = (ms: number): boolean =>
      pattern.test(`{"__REALTIME_TIMESTAMP":"${Math.floor(ms * 1000)}","M":"x"}`);
    const [from, to] = [Math.floor(oldest / 1000) * 1000, Math.floor(latest / 1000) * 1000 + 999];
    for (const share of [0, 0.1, 0.25, 0.5, 0.75, 0.9, 1]) t.ok(matches(from + Math.floor((to - from) * share)));
    if (from > 0) t.notOk(matches(from - 1));
    t.notOk(matches(to + 1));
  }
  t.notOk(
    new RegExp(microsPattern(0, 999)).test('{"MESSAGE":"\\"__REALTIME_TIMESTAMP\\":\\"5\\""}'),
    'not in a message',
  );
  t.end();
});

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
  const [long, next, outside] = [line('27', `${pad}${line('01', 'x').trimEnd()}`), line('27', 'next'), line('01', 'x')];
  const window = { oldest: Date.UTC(2026, 10, 26), latest: Date.UTC(2026, 10, 28) };
  const context = { zoneMinutes: 0, modifiedMs: 0, takesWhole: true };
  const { bytes, seen } = linesInside(Readable.from([Buffer.from(long + outside + next)]), window, context);
  t.ok((await text(Readable.from(bytes))) === long + next);
  t.equal(seen.steps.length, 1, 'of the record before, not of the date');
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
