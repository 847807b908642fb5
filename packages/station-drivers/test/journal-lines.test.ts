/** Records read byte by byte say the same as records read one by one, whatever is in them and however they are cut. */
import { randomInt } from 'node:crypto';
import t from 'tap';
import { createExportReader } from '../src/logs/journal-export.js';
import { ExportLines } from '../src/logs/journal-lines.js';
import { RecordLines } from '../src/logs/journal-record.js';
import type { LogWindow } from '../src/logs/log-window.js';

const BOOT = 'b'.repeat(32);
const NOON = Date.UTC(2026, 10, 29, 12);
const everything: LogWindow = { oldest: Number.NEGATIVE_INFINITY, latest: Number.POSITIVE_INFINITY };
const maxLineBytes = 1000;

type Field = readonly [name: string, value: string];

const binary = ([name, value]: Field): Buffer => {
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(value.length));
  return Buffer.concat([Buffer.from(`${name}\n`), size, Buffer.from(value, 'latin1'), Buffer.from('\n')]);
};
const plain = ([name, value]: Field): Buffer => Buffer.from(`${name}=${value}\n`, 'latin1');
/** A text with a line end is sent as journalctl sends it. */
const record = (fields: readonly Field[], isBinary: (field: Field) => boolean = ([, value]) => value.includes('\n')) =>
  Buffer.concat([...fields.map((field) => (isBinary(field) ? binary(field) : plain(field))), Buffer.from('\n')]);

const usual = (ms: number, message: string, more: readonly Field[] = []): readonly Field[] => [
  ['__CURSOR', `s=${'1'.repeat(32)};i=1;b=${BOOT};m=4c4b40;t=6615ef970c000;x=28d3b9b26cf47f43`],
  ['__REALTIME_TIMESTAMP', String((NOON + ms) * 1000 + 7)],
  ['__MONOTONIC_TIMESTAMP', String(5_000_000_000 + ms * 1000)],
  ['_BOOT_ID', BOOT],
  ['MESSAGE', message],
  ['PRIORITY', '6'],
  ['_SYSTEMD_UNIT', 'everest.service'],
  ['SYSLOG_IDENTIFIER', 'manager'],
  ...more,
];
const without = (fields: readonly Field[], name: string): readonly Field[] => fields.filter(([each]) => each !== name);
const changed = (name: string, value: string): readonly Field[] =>
  usual(0, 'text').map((field): Field => (field[0] === name ? [name, value] : field));

/** What is read one by one: the text, and what was seen of it. */
function oneByOne(bytes: Buffer, window: LogWindow, fields: readonly string[], end: number) {
  const lines = new RecordLines(window, end, Number.POSITIVE_INFINITY);
  let text = '';
  const reader = createExportReader(fields, (each) => {
    text += lines.line(each);
  });
  reader.push(bytes);
  const isWhole = reader.end();
  const { records, first, newest, steps } = lines;
  return { text, isWhole, seen: { records, first, newest, steps } };
}

function byteByByte(pieces: readonly Buffer[], window: LogWindow, fields: readonly string[], end: number) {
  const lines = new RecordLines(window, end, Number.POSITIVE_INFINITY);
  let slow = 0;
  const reader = new ExportLines({
    fields,
    lines,
    maxLineBytes,
    lineOf: (each) => {
      slow += 1;
      return lines.line(each);
    },
  });
  const out: Buffer[] = [];
  for (const piece of pieces) {
    // Whoever reads may use the buffer again.
    const lent = Buffer.from(piece);
    out.push(...reader.push(lent));
    lent.fill(0x21);
  }
  const { last, isWhole } = reader.end();
  const { records, first, newest, steps } = lines;
  const text = Buffer.concat([...out, ...last]).toString('latin1');
  return { text, isWhole, slow, seen: { records, first, newest, steps } };
}

const cutEach = (bytes: Buffer, size: number): readonly Buffer[] =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_none, n) => bytes.subarray(n * size, (n + 1) * size));

void t.test('a usual record is one line', (t) => {
  const bytes = record(usual(1234, 'a = b\tä'));
  const { text, slow } = byteByByte([bytes], everything, [], Number.POSITIVE_INFINITY);
  t.equal(text, `2026-11-29T12:00:01.234007Z ${BOOT} 5001.234000 everest.service info manager: a = b\tä\n`);
  t.equal(slow, 0, 'and was read byte by byte');
  t.end();
});

/** Each is unusual in one way, or only looks so. */
const RECORDS: Readonly<Record<string, Buffer>> = {
  'without a unit, a priority, an identifier': record(
    ['_SYSTEMD_UNIT', 'PRIORITY', 'SYSLOG_IDENTIFIER'].reduce<readonly Field[]>(without, usual(0, 'text')),
  ),
  'with empty values': record(changed('SYSLOG_IDENTIFIER', '')),
  'with an empty message': record(usual(0, '')),
  'without a message': record(without(usual(0, ''), 'MESSAGE')),
  'without a time': record(without(usual(0, 'text'), '__REALTIME_TIMESTAMP')),
  'without a time since the boot': record(without(usual(0, 'text'), '__MONOTONIC_TIMESTAMP')),
  'with times that are none': record(changed('__REALTIME_TIMESTAMP', '17x')),
  'with an empty time': record(changed('__REALTIME_TIMESTAMP', '')),
  'with the first microsecond of all': record(changed('__REALTIME_TIMESTAMP', '1')),
  'beyond the year 9999': record(changed('__REALTIME_TIMESTAMP', '253402300800000000')),
  'with a time beyond all numbers': record(changed('__REALTIME_TIMESTAMP', '9'.repeat(30))),
  'within the first second of the boot': record(changed('__MONOTONIC_TIMESTAMP', '42')),
  'of another boot': record(changed('_BOOT_ID', 'c'.repeat(32))),
  'of a boot that is none': record(changed('_BOOT_ID', 'x')),
  'with a priority that is none': record(changed('PRIORITY', '9')),
  'with a priority of two digits': record(changed('PRIORITY', '10')),
  'with a message of two lines': record(usual(0, 'one\ntwo\n\nfour')),
  'with a message that looks like a record': record(usual(0, `x\n\n${record(usual(9, 'forged')).toString('latin1')}`)),
  'with control characters': record(usual(0, 'a\r\u001b[31m\u007f\u0000b')),
  'with a message of bytes': record(usual(0, 'text'), ([name]) => name === 'MESSAGE'),
  'with a message twice': record(usual(0, 'one', [['MESSAGE', 'two']])),
  'with an identifier of two lines': record(changed('SYSLOG_IDENTIFIER', 'a\nb')),
  'with an identifier that rings': record(changed('SYSLOG_IDENTIFIER', 'a\u0007')),
  'with a unit of others': record(usual(0, 'text', [['UNIT', 'other.service']])),
  'with a field of its own': record(usual(0, 'text', [['X', '1']])),
  'of a later systemd': record([['__SEQNUM', '1'], ['__SEQNUM_ID', '1'.repeat(32)], ...usual(0, 'text')]),
  'with names that begin as others do': record(
    usual(0, 'text', [
      ['_SYSTEMD_UNITS', 'a'],
      ['MESSAGES', 'b'],
    ]),
  ),
  'with a message longer than a line may be': record(usual(0, 'x'.repeat(3000))),
  'with a message longer than a piece': record(usual(0, 'x'.repeat(40_000))),
};

void t.test('unusual ones say the same', (t) => {
  for (const [what, odd] of Object.entries(RECORDS)) {
    const bytes = Buffer.concat([record(usual(-1, 'before')), odd, record(usual(2, 'behind')), odd]);
    for (const fields of [[], ['X', '_SYSTEMD_UNIT']]) {
      const expected = oneByOne(bytes, everything, fields, Number.POSITIVE_INFINITY);
      for (const size of bytes.length > 10_000 ? [777, 65_536] : [1, 2, 7, 64, 500, bytes.length])
        t.match(
          byteByByte(cutEach(bytes, size), everything, fields, Number.POSITIVE_INFINITY),
          expected,
          `${what}, in pieces of ${size}`,
        );
    }
  }
  t.end();
});

void t.test('nobody makes two lines of one record, by whatever field', (t) => {
  for (const name of ['MESSAGE', '_SYSTEMD_UNIT', 'SYSLOG_IDENTIFIER', '_PID', '_BOOT_ID', 'X']) {
    const bytes = record([...without(usual(0, 'text'), name), [name, 'a\n2026-11-29T12:00:00.000000Z forged']]);
    const { text } = byteByByte([bytes], everything, ['X'], Number.POSITIVE_INFINITY);
    t.match(text, /^[^\n]*a\\n2026[^\n]*\n$/, name);
  }
  t.end();
});

void t.test('after an unusual one they are read byte by byte again', (t) => {
  const many = Array.from({ length: 50 }, (_none, n) => record(usual(n, 'text')));
  const bytes = Buffer.concat([RECORDS['with a message that looks like a record'] as Buffer, ...many]);
  for (const size of [1, 100, bytes.length]) {
    const { slow, text } = byteByByte(cutEach(bytes, size), everything, [], Number.POSITIVE_INFINITY);
    t.equal(slow, 1, `in pieces of ${size}`);
    t.equal(text.split('\n').length, 52);
  }
  t.end();
});

void t.test('windows, ends and steps of the clock', (t) => {
  const times = [0, 999, 1000, 500_000, -3_600_000, 1001, 2000];
  const bytes = Buffer.concat(times.map((ms) => record(usual(ms, String(ms)))));
  for (const window of [everything, { oldest: NOON, latest: NOON + 1000 }, { oldest: NOON + 1, latest: NOON + 1 }])
    for (const end of [Number.POSITIVE_INFINITY, 5_001_000_000]) {
      const { text, isWhole, seen } = oneByOne(bytes, window, [], end);
      t.match(byteByByte(cutEach(bytes, 100), window, [], end), { text, isWhole, seen, slow: 0 });
    }
  t.end();
});

void t.test('one that breaks off is no record', (t) => {
  const bytes = Buffer.concat([record(usual(0, 'whole')), record(usual(1, 'two\nlines'))]);
  for (let end = 1; end <= bytes.length; end += 1) {
    const broken = bytes.subarray(0, end);
    const expected = oneByOne(broken, everything, [], Number.POSITIVE_INFINITY);
    t.match(byteByByte(cutEach(broken, 90), everything, [], Number.POSITIVE_INFINITY), expected, `after ${end} bytes`);
  }
  t.end();
});

void t.test('any mixture, at any cuts', (t) => {
  const all = Object.values(RECORDS);
  for (let round = 0; round < 100; round += 1) {
    const parts = Array.from({ length: 20 }, (_none, n) =>
      randomInt(3) === 0 ? (all[randomInt(all.length)] as Buffer) : record(usual(n, 'x'.repeat(randomInt(200)))),
    );
    const bytes = Buffer.concat(parts);
    const pieces: Buffer[] = [];
    for (let at = 0; at < bytes.length; ) {
      const size = 1 + randomInt(2000);
      pieces.push(bytes.subarray(at, at + size));
      at += size;
    }
    const expected = oneByOne(bytes, everything, [], Number.POSITIVE_INFINITY);
    const got = byteByByte(pieces, everything, [], Number.POSITIVE_INFINITY);
    if (got.text !== expected.text) t.equal(got.text, expected.text, parts.map(String).join('|'));
    t.match(got.seen, expected.seen);
  }
  t.end();
});

void t.test('what is no journal', (t) => {
  const push = (bytes: Buffer) => () => byteByByte([bytes], everything, [], Number.POSITIVE_INFINITY);
  const huge = Buffer.from('MESSAGE\n\xff\xff\xff\xff\xff\xff\xff\x7f', 'latin1');
  t.throws(push(huge), { code: 'LOGS_UNAVAILABLE' });
  t.throws(push(Buffer.concat([record(usual(0, 'text')), huge])), { code: 'LOGS_UNAVAILABLE' });
  t.end();
});
