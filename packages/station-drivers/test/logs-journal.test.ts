/** The systemd journal as a source: a real journalctl, and journals whose times were chosen. */
import { execFileSync } from 'node:child_process';
import { readFile, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type JournalEntry, whyNoJournal, writeJournal } from '@khumbu/test-support/journal';
import { hasSshd, overSsh, startSshd } from '@khumbu/test-support/sshd';
import t, { type Test } from 'tap';
import { bytesOf } from '../src/log-parts.js';
import type { LogQuery } from '../src/port.js';
import { codesOf, logDriver, logEntry, readLog, readSource } from './log-station.js';
import { endProcessesOf } from './stage.js';

const { signal } = new AbortController();
const why = await whyNoJournal();
const only = { skip: why ?? false };
t.setTimeout(900_000);

const NOON = Date.UTC(2026, 10, 29, 12);
const A = 'a'.repeat(32);
const B = 'b'.repeat(32);

/** `ms` after noon by its clock, `sinceBootS` after its boot. */
const entry = (
  boot: string,
  ms: number,
  sinceBootS: number,
  message: JournalEntry['fields'][string] | undefined,
  more: JournalEntry['fields'] = {},
): JournalEntry => ({
  realtime: BigInt(Math.round((NOON + ms) * 1000)),
  monotonic: BigInt(Math.round(sinceBootS * 1e6)),
  boot,
  fields: {
    PRIORITY: '6',
    _SYSTEMD_UNIT: 'everest.service',
    SYSLOG_IDENTIFIER: 'manager',
    ...(message === undefined ? {} : { MESSAGE: message }),
    ...more,
  },
});

const journalAt = (dir: string) => join(dir, 'journal');
const source = (dir: string, more: object = {}) => ({ journal: { directory: journalAt(dir), ...more } });
const at = (ms: number): Date => new Date(NOON + ms);
const messages = (lines: readonly string[]): readonly string[] =>
  lines.map((line) => line.slice(line.indexOf(': ') + 2));

const read = (t: Test, dir: string, query: Partial<LogQuery> = {}, more: object = {}) =>
  readLog(t, dir, source(dir, more), query);

await t.test(
  'one record is one line: time, boot, time since the boot, unit, priority, who, message',
  only,
  async (t) => {
    const dir = t.testdir({});
    await writeJournal(journalAt(dir), [
      { ...entry(A, 0, 1, 'plain'), realtime: BigInt(NOON) * 1000n + 123_456n, monotonic: 1_000_007n },
      entry(A, 2000, 2, 'a = b, ä€ and \\n'),
      entry(A, 3000, 3, 'first\nsecond\r\u001b[31mred\u0007'),
      entry(A, 4000, 4, Buffer.from([0x66, 0xff, 0x00, 0x67])),
      entry(A, 5000, 5, 'x'.repeat(6000)),
      entry(A, 6000, 6, undefined),
      entry(A, 7000, 7, ''),
      entry(A, 8000, 8, ['one', 'two\nthree']),
      entry(A, 9000, 9, 'who', { _SYSTEMD_UNIT: 'ssh.service', SYSLOG_IDENTIFIER: 'sshd', PRIORITY: '3', CODE: '7' }),
    ]);
    // Both forms in which journalctl is asked say the same, and both ways in which its pages are gathered.
    const byAnother = { program: ['env', 'journalctl'] };
    for (const [query, how] of [
      [{}, {}],
      [{}, byAnother],
      [{ oldest: at(0), latest: at(9000) }, {}],
    ] as const) {
      const { lines, parts } = await read(t, dir, query, { fields: ['CODE'], ...how });
      t.equal(lines[0], `2026-11-29T12:00:00.123456Z ${A} 1.000007 everest.service info manager: plain`);
      t.same(messages(lines), [
        'plain',
        'a = b, ä€ and \\n',
        'first\\nsecond\\r\\x1b[31mred\\x07',
        'f\ufffd\\x00g',
        'x'.repeat(6000),
        '',
        '',
        'one\\ntwo\\nthree',
        'who CODE=7',
      ]);
      t.match(lines[8], / ssh\.service err sshd: who/);
      t.same(
        parts.map(({ name, notes }) => [name, notes]),
        [['boot-0001-aaaaaaaa', []]],
      );
    }
  },
);

await t.test('units, priority and facilities', only, async (t) => {
  const dir = t.testdir({});
  await writeJournal(journalAt(dir), [
    entry(A, 0, 1, 'everest'),
    entry(A, 1, 2, 'broken', { PRIORITY: '3' }),
    entry(A, 2, 3, 'login', { _SYSTEMD_UNIT: 'session-1.scope', SYSLOG_FACILITY: '10' }),
  ]);
  t.same(messages((await read(t, dir, {}, { units: ['everest.service'] })).lines), ['everest', 'broken']);
  t.same(messages((await read(t, dir, {}, { units: ['everest.service'], priority: 'err' })).lines), ['broken']);
  t.same(messages((await read(t, dir, {}, { facilities: ['auth', 'authpriv'] })).lines), ['login']);
  const none = await read(t, dir, {}, { units: ['other.service'] });
  t.same([none.parts, none.notes], [[], []], 'a journal that has no such records is one that can be read');
});

await t.test('a window is exact, and windows that follow one another have each record once', only, async (t) => {
  const dir = t.testdir({});
  const moments = [-1, 0, 0.4, 0.999, 1, 1000, 1000.999, 1001, 2000, 3_600_000];
  await writeJournal(
    journalAt(dir),
    moments.map((ms, number) => entry(A, ms, 10 + number, `${ms}`)),
  );
  const of = async (oldest: number, latest: number) =>
    messages((await read(t, dir, { oldest: at(oldest), latest: at(latest) })).lines);
  t.same(await of(0, 1000), ['0', '0.4', '0.999', '1', '1000', '1000.999']);
  t.same(await of(1001, 3_600_000), ['1001', '2000', '3600000']);
  t.same(await of(0, 0), ['0', '0.4', '0.999']);
  t.same(messages((await read(t, dir, { latest: at(-1) })).lines), ['-1']);
  t.same(messages((await read(t, dir, { oldest: at(2000) })).lines), ['2000', '3600000']);
});

await t.test(
  'a clock that was set back inside the window loses no record, and the overlap is told',
  only,
  async (t) => {
    const dir = t.testdir({});
    const hour = 3_600_000;
    // Forward from 1970 to noon, an hour on, and back.
    const times = [-NOON + 5000, 0, 1000, hour, hour + 1000, 2000, 3000, 4000];
    await writeJournal(
      journalAt(dir),
      times.map((ms, number) => entry(A, ms, 10 + number, `record ${number}`)),
    );
    const all = await read(t, dir);
    t.same(
      messages(all.lines),
      times.map((_ms, number) => `record ${number}`),
      'in the order they were written',
    );
    t.same(codesOf(all.parts[0]?.notes ?? []), ['clock_set_back', 'overlap']);
    t.match(
      all.parts[0]?.notes[0]?.text,
      /15\.000000 s after the boot .* from 2026-11-29T13:00:01\.000000Z to 2026-11-29T12:00:02\.000000Z/,
    );
    const part = await read(t, dir, { oldest: at(500), latest: at(hour) });
    t.same(
      messages(part.lines),
      [2, 3, 5, 6, 7].map((number) => `record ${number}`),
    );
    t.same(codesOf(part.parts[0]?.notes ?? []), ['clock_set_back', 'overlap', 'incomplete']);
    t.match(part.parts[0]?.notes[2]?.text, /have times after the window/, 'record 4');
  },
);

const MINUTE = 60_000;
/** Minutes after noon by the clock, and since the boot. */
const minutes = (boot: string, clock: number, sinceBoot: number, message: string): JournalEntry =>
  entry(boot, clock * MINUTE, sinceBoot * 60, message);
/** To the end, which is streamed whole, and up to a moment, for which the station looks. */
const readBoth = async (t: Test, dir: string, oldest: number, latest: number) => ({
  open: await read(t, dir, { oldest: at(oldest * MINUTE) }),
  narrow: await read(t, dir, { oldest: at(oldest * MINUTE), latest: at(latest * MINUTE) }),
});

await t.test('a clock that was set back to before the window loses no record', only, async (t) => {
  const dir = t.testdir({});
  await writeJournal(journalAt(dir), [
    minutes(A, -150, 30, 'before the window'),
    minutes(A, -60, 120, 'in it'),
    minutes(A, 0, 180, 'the last one before the step'),
    minutes(A, -140, 190, 'behind it'),
    minutes(A, -130, 200, 'still'),
    minutes(A, -110, 220, 'in it again'),
  ]);
  const { open, narrow } = await readBoth(t, dir, -120, 15);
  const kept = ['in it', 'the last one before the step', 'behind it'];
  t.same(messages(open.lines), [...kept, 'still', 'in it again']);
  t.same(messages(narrow.lines), [...kept, 'in it again'], 'by the clock as it would have gone on');
  for (const [{ parts }, count] of [
    [open, 2],
    [narrow, 1],
  ] as const) {
    const [{ notes } = { notes: [] }] = parts;
    t.same(codesOf(notes), ['clock_set_back', 'overlap']);
    t.match(
      notes[0]?.text,
      new RegExp(`from 2026-11-29T12:00:00.000000Z to 2026-11-29T09:40:00.000000Z; ${count} rec`),
    );
  }
  const earlier = await read(t, dir, { oldest: at(-145 * MINUTE), latest: at(-125 * MINUTE) });
  t.same(messages(earlier.lines), ['behind it', 'still'], 'a window of those times has them too');
});

await t.test('a clock that was set back while nothing was written', only, async (t) => {
  const dir = t.testdir({});
  await writeJournal(journalAt(dir), [
    minutes(A, -130, 10, 'before the window'),
    minutes(A, -125, 30, 'a quarter of an hour back'),
    minutes(A, -115, 40, 'in it'),
  ]);
  const { open, narrow } = await readBoth(t, dir, -120, 0);
  for (const { lines, parts } of [open, narrow]) {
    t.same(messages(lines), ['a quarter of an hour back', 'in it']);
    t.same(codesOf(parts[0]?.notes ?? []), ['clock_set_back'], 'no two stretches have the same times');
  }
});

await t.test('a clock that was set back to before the window by a boot', only, async (t) => {
  const dir = t.testdir({});
  await writeJournal(journalAt(dir), [
    minutes(B, -180, 1, 'before the window'),
    minutes(B, -60, 121, 'in it'),
    minutes(A, -150, 0, 'booted'),
    minutes(A, -149, 1, 'up'),
    minutes(A, -55, 2, 'set right'),
  ]);
  const { open, narrow } = await readBoth(t, dir, -120, 15);
  for (const { lines, parts } of [open, narrow]) {
    t.same(messages(lines), ['in it', 'booted', 'up', 'set right']);
    t.same(
      parts.map(({ notes }) => codesOf(notes)),
      [[], ['clock_set_back', 'overlap']],
    );
    t.match(parts[1]?.notes[0]?.text, /; 2 records/);
  }
  const later = await read(t, dir, { oldest: at(-58 * MINUTE), latest: at(0) });
  t.same(messages(later.lines), ['set right'], 'the boot before it ended before this window');
});

await t.test('a clock that was set back by days in one boot, and is still behind in the next one', only, async (t) => {
  const dir = t.testdir({});
  const days = -2 * 1440;
  await writeJournal(journalAt(dir), [
    minutes(B, -180, 1, 'before the window'),
    minutes(B, -60, 121, 'in it'),
    minutes(B, days, 130, 'two days back'),
    minutes(A, days + 5, 0, 'booted'),
    minutes(A, days + 15, 10, 'up'),
  ]);
  const { open, narrow } = await readBoth(t, dir, -120, 15);
  for (const { lines } of [open, narrow])
    t.same(messages(lines), ['in it', 'two days back', 'booted', 'up'], 'its last record is before the window');
});

await t.test('a boot whose clock was far ahead', only, async (t) => {
  const dir = t.testdir({});
  await writeJournal(journalAt(dir), [
    minutes(B, 12 * 525_600, 1, 'years ahead'),
    minutes(B, -400, 2, 'set right before the window'),
    minutes(A, -300, 0, 'booted'),
    minutes(A, -60, 240, 'in it'),
  ]);
  const { open, narrow } = await readBoth(t, dir, -120, 15);
  t.same(messages(open.lines), ['years ahead', 'in it']);
  t.same(messages(narrow.lines), ['in it']);
});

await t.test('for a narrow window the station sends no more of a boot than it needs', only, async (t) => {
  const dir = t.testdir({});
  await writeJournal(journalAt(dir), [
    minutes(A, 12 * 525_600, 1, 'years ahead'),
    minutes(A, -300, 2, 'set right'),
    minutes(A, -250, 52, 'long before the window'),
    minutes(A, -251, 53, 'a minute and more back'),
    minutes(A, -200, 104, 'before the window'),
    minutes(A, -60, 244, 'in it'),
    minutes(A, 20, 324, 'behind it'),
    minutes(B, -60, 1, 'in it'),
    minutes(B, -240, 2, 'set back there'),
    minutes(B, 30, 272, 'which all comes from then on'),
  ]);
  const script = new URL('../../station/khumbu-logs.sh', import.meta.url).pathname;
  const range = [-120, 15, 1440].map((minute) => (NOON + minute * MINUTE) * 1000).join(' ');
  const sent = execFileSync('sh', [script, 'journal', 'MESSAGE', 'journalctl', `--directory=${journalAt(dir)}`], {
    input: `--cut--\n${A} ${range}\n${B} ${range}\n`,
  }).toString();
  const found = [...sent.matchAll(/"MESSAGE" ?: ?"([^"]*)"/g)].map(([, message]) => message);
  t.same(found, ['in it', 'in it', 'set back there', 'which all comes from then on']);
});

await t.test(
  'boots in the order they were written, also where the clock was set back between them',
  only,
  async (t) => {
    const dir = t.testdir({});
    // In one file, whose numbers tell; by the clock the second boot is the older one.
    await writeJournal(journalAt(dir), [
      entry(B, 5000, 10, 'first boot'),
      entry(B, 6000, 11, 'still'),
      entry(A, 0, 10, 'second boot'),
      entry(A, 1000, 11, 'up'),
    ]);
    const { lines, parts } = await read(t, dir);
    t.same(messages(lines), ['first boot', 'still', 'second boot', 'up']);
    t.same(
      parts.map(({ name, notes }) => [name, codesOf(notes)]),
      [
        ['boot-0001-bbbbbbbb', []],
        ['boot-0002-aaaaaaaa', ['clock_set_back', 'overlap']],
      ],
    );
    const files = t.testdir({ two: {} });
    await writeJournal(journalAt(files), [entry(B, 5000, 10, 'later')], 'system');
    await writeJournal(journalAt(files), [entry(A, 0, 10, 'earlier')], 'system@1');
    t.same(messages((await read(t, files)).lines), ['earlier', 'later'], 'numbered anew in each file: by the clock');
  },
);

await t.test('nothing there, nothing to be seen, and something broken are told apart', only, async (t) => {
  const dir = t.testdir({});
  await t.rejects(read(t, dir), { code: 'LOGS_UNAVAILABLE', message: /there are no files of a journal/ });
  const path = await writeJournal(journalAt(dir), [entry(A, 0, 1, 'x')]);
  const asNobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', 'journalctl'];
  await t.rejects(read(t, dir, {}, { program: asNobody }), {
    code: 'LOGS_UNAVAILABLE',
    message: /may not be|insufficient/,
  });
  await t.rejects(read(t, dir, {}, { program: ['no-such-journalctl'] }), {
    code: 'LOGS_UNAVAILABLE',
    message: /no journalctl/,
  });
  await writeJournal(journalAt(dir), [entry(B, 1000, 1, 'whole')], 'system@2');
  await truncate(path, 100_000);
  const { lines, parts, notes } = await read(t, dir);
  t.ok(messages(lines).includes('whole'));
  t.ok(
    [...notes, ...parts.flatMap((part) => part.notes)].some(
      ({ code, text }) => code === 'incomplete' && /truncated/.test(text),
    ),
  );
});

await t.test(
  'what is written after the request is left out: by the time since the boot, whatever the clock says',
  only,
  async (t) => {
    const dir = t.testdir({});
    const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim().replaceAll('-', '');
    const uptime = Number((await readFile('/proc/uptime', 'utf8')).split(' ')[0]);
    await writeJournal(journalAt(dir), [
      entry(boot, 0, 1, 'before'),
      entry(boot, 1000, uptime + 3600, 'an hour later'),
    ]);
    t.same(messages((await read(t, dir)).lines), ['before']);
  },
);

await t.test('over SSH: two sources, one of which cannot be read', { skip: why ?? !hasSshd() }, async (t) => {
  const dir = t.testdir({ logs: { 'a.log': '2026-11-29T12:00:00Z from a file\n' } });
  await writeJournal(
    journalAt(dir),
    Array.from({ length: 3000 }, (_none, n) => entry(A, n, 1 + n / 1000, `record ${n}`)),
  );
  endProcessesOf(t, join(dir, 'state'));
  const sshd = await startSshd({ dir: join(dir, 'sshd') });
  t.teardown(() => sshd.stop());
  const sources = [source(dir), { files: [`${dir}/nothing/*.log`] }, { files: [`${dir}/logs/*.log`] }];
  const driver = logDriver(t, { ...logEntry(dir, sources), ...overSsh(sshd) });
  const opened = await driver.openLogs({ type: 'DiagnosticsLog' }, signal);
  t.same(
    opened.map(({ name }) => name),
    ['journal', 'files', 'files-2'],
  );
  const [journal, nothing, files] = await Promise.all(opened.map(readSource));
  t.equal(journal?.[0]?.text.split('\n').length, 3001);
  t.same(nothing, []);
  t.same(codesOf(opened[1]?.notes?.() ?? []), ['missing']);
  t.equal(files?.[0]?.text, '2026-11-29T12:00:00Z from a file\n');

  const one = await driver.openLogs({ type: 'DiagnosticsLog', sources: ['files-2'] }, signal);
  t.equal(await text(bytesOf(...one)), '2026-11-29T12:00:00Z from a file\n');
  await t.rejects(driver.openLogs({ type: 'DiagnosticsLog', sources: ['other'] }, signal), {
    code: 'LOGS_UNAVAILABLE',
  });
});
