/** The newest records of a real station, and what is written while somebody looks. */
import { appendFile, mkdir, rename, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { awaitUntil } from '@khumbu/test-support/events';
import { type JournalEntry, whyNoJournal, writeJournal } from '@khumbu/test-support/journal';
import { hasSshd, overSsh, startSshd } from '@khumbu/test-support/sshd';
import t from 'tap';
import { bytesOf } from '../src/log-parts.js';
import type { LogQuery, LogSource, StationDriver } from '../src/port.js';
import { codesOf, logDriver, logEntry } from './log-station.js';
import { endProcessesOf, processesWith } from './stage.js';

t.setTimeout(900_000);
const NOON = Date.UTC(2026, 10, 29, 12);
const BOOT = 'a'.repeat(32);
const only = { skip: (await whyNoJournal()) ?? false };

const entry = (second: number, message: string): JournalEntry => ({
  realtime: BigInt((NOON + second * 1000) * 1000),
  monotonic: BigInt((second + 1) * 1_000_000),
  boot: BOOT,
  fields: { PRIORITY: '6', _SYSTEMD_UNIT: 'everest.service', SYSLOG_IDENTIFIER: 'manager', MESSAGE: message },
});
const line = (second: number, words: string): string => `${new Date(NOON + second * 1000).toISOString()} ${words}\n`;

type Sources = Parameters<typeof logEntry>[1];

async function openNewest(driver: StationDriver, query: Partial<LogQuery>, signal: AbortSignal) {
  return driver.openLogs({ type: 'DiagnosticsLog', newest: true, ...query }, signal);
}

/** Lines as they come. `next` rejects when there are no more. */
function linesOf({ stream }: Extract<LogSource, { stream: unknown }>) {
  const lines = createInterface({ input: stream })[Symbol.asyncIterator]();
  return {
    async next(): Promise<string> {
      const { done, value } = await lines.next();
      if (done) throw new Error('there are no more lines');
      return value;
    },
  };
}

function streamIn(sources: readonly LogSource[], name: string): Extract<LogSource, { stream: unknown }> {
  const found = sources.find((source) => source.name === name);
  if (!found || !('stream' in found)) throw new Error(`no stream ${name}`);
  return found;
}

await t.test('the newest records of a journal come without the rest, also where it is long', only, async (t) => {
  const dir = t.testdir({});
  const journal = join(dir, 'journal');
  await writeJournal(
    journal,
    Array.from({ length: 2500 }, (_none, n) => entry(n, `record ${n}`)),
  );
  const driver = logDriver(t, logEntry(dir, [{ journal: { directory: journal } }]));
  const { signal } = new AbortController();
  const [whole] = await openNewest(driver, {}, signal);
  if (!whole) throw new Error('no source');
  const lines = (await text(bytesOf(whole))).trimEnd().split('\n');
  t.equal(lines.length, 1000);
  t.equal(lines[0], `2026-11-29T12:25:00.000000Z ${BOOT} 1501.000000 everest.service info manager: record 1500`);
  t.match(lines.at(-1), /record 2499$/);
  t.same(codesOf(whole.notes?.() ?? []), ['older_left_out']);

  const [since] = await openNewest(driver, { oldest: new Date(NOON + 2_490_000) }, signal);
  if (!since) throw new Error('no source');
  t.equal((await text(bytesOf(since))).trimEnd().split('\n').length, 10);
  t.same(since.notes?.(), [], 'the newest records reach back as far as was asked for');
});

await t.test(
  'a journal and files are followed at the same time, and end with the signal, at the station too',
  { skip: only.skip || !hasSshd() },
  async (t) => {
    const dir = t.testdir({ logs: { 'a.log': line(1, 'one') } });
    const journal = join(dir, 'journal');
    await writeJournal(journal, [entry(0, 'booted')], 'first');
    endProcessesOf(t, join(dir, 'state'));
    const sshd = await startSshd({ dir: join(dir, 'sshd') });
    t.teardown(() => sshd.stop());
    const sources: Sources = [{ journal: { directory: journal } }, { files: [`${dir}/logs/*.log`] }];
    const station = { ...logEntry(dir, sources), ...overSsh(sshd) };
    const driver = logDriver(t, station);
    const abort = new AbortController();
    const opened = await openNewest(driver, { follow: true }, abort.signal);
    const records = linesOf(streamIn(opened, 'journal'));
    const lines = linesOf(streamIn(opened, 'files'));
    t.match(await records.next(), /manager: booted$/);
    t.match(await lines.next(), / one$/);
    await writeJournal(journal, [entry(60, 'written now')], 'second');
    t.match(await records.next(), /manager: written now$/);
    await appendFile(join(dir, 'logs', 'a.log'), line(2, 'two'));
    t.match(await lines.next(), / two$/);
    abort.abort();
    await t.rejects(records.next());
    const left = (): readonly number[] => [join(dir, 'state'), journal].flatMap((text) => processesWith(text));
    await awaitUntil(() => left().length === 0, 20_000, 'the programs at the station to end');
  },
);

await t.test('files: rotated, emptied, new ones, and a line whose end comes later', async (t) => {
  const dir = t.testdir({});
  endProcessesOf(t, join(dir, 'state'));
  const folder = join(dir, 'logs');
  await mkdir(folder);
  const path = join(folder, 'a.log');
  await writeFile(path, line(1, 'one'));
  const entryOf = logEntry(dir, [{ files: [`${folder}/*.log`] }]);
  const abort = new AbortController();
  t.teardown(() => abort.abort());
  const opened = await openNewest(logDriver(t, entryOf), { follow: true }, abort.signal);
  const lines = linesOf(streamIn(opened, 'files'));
  t.match(await lines.next(), / one$/);
  await appendFile(path, '2026-11-29T12:00:02.000Z begins and ');
  await rename(path, `${path}.1`);
  await appendFile(`${path}.1`, 'ends\n');
  t.match(await lines.next(), /begins and ends$/, 'what was written to it under its old name and its new one');
  await writeFile(path, line(3, 'a new file'));
  t.match(await lines.next(), /a new file$/);
  await truncate(path, 0);
  await appendFile(path, 'short\n');
  t.equal(await lines.next(), 'short', 'what was written after it was emptied');
  await writeFile(join(folder, 'b.log'), 'another\n');
  t.equal(await lines.next(), 'another');
});

await t.test(
  'files whose last lines have no end: so much of all of them is held, and which file a piece is of',
  async (t) => {
    const dir = t.testdir({ logs: { 'a.log': line(1, 'one') } });
    endProcessesOf(t, join(dir, 'state'));
    const abort = new AbortController();
    t.teardown(() => abort.abort());
    const driver = logDriver(t, logEntry(dir, [{ files: [`${dir}/logs/*.log`] }]));
    const source = streamIn(await openNewest(driver, { follow: true }, abort.signal), 'files');
    const pieces = (source.stream as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
    const next = async (): Promise<{ readonly text: string; readonly file: string | undefined }> => {
      const { value, done } = await pieces.next();
      if (done) throw new Error('there are no more pieces');
      return { text: value.toString(), file: source.fileOf?.(value) };
    };
    const first = await next();
    t.match(first.text, / one\n$/);
    const long = 900 * 1024;
    for (let n = 0; n < 5; n += 1) await writeFile(join(dir, 'logs', `b${n}.log`), String(n).repeat(long));
    const cut = await next();
    t.match(cut.text, /^(\d)\1*\n$/, 'of one file alone');
    t.equal(cut.text.length, long + 1);
    t.not(cut.file, first.file);
    await appendFile(join(dir, 'logs', `b${cut.text[0]}.log`), ' goes on\nnext\n');
    t.same(await next(), { text: 'next\n', file: cut.file }, 'what is behind the cut may be the rest of a secret');
    await appendFile(join(dir, 'logs', 'a.log'), line(2, 'two'));
    t.same(await next(), { text: line(2, 'two'), file: first.file });
    t.ok(codesOf(source.notes?.() ?? []).includes('line_cut'));
  },
);

await t.test('a file that is only followed, and ends within a line', async (t) => {
  const dir = t.testdir({ logs: { 'a.log': '"password":"hun', 'b.log': line(1, 'whole') } });
  endProcessesOf(t, join(dir, 'state'));
  const abort = new AbortController();
  t.teardown(() => abort.abort());
  const driver = logDriver(t, logEntry(dir, [{ files: [`${dir}/logs/*.log`] }]));
  for (const name of ['a.log', 'b.log']) await utimes(join(dir, 'logs', name), 1_700_000_000, 1_700_000_000);
  const query = { follow: true, oldest: new Date(NOON) } as const;
  const lines = linesOf(streamIn(await openNewest(driver, query, abort.signal), 'files'));
  await appendFile(join(dir, 'logs', 'a.log'), 'ter2"\nnext\n');
  t.equal(await lines.next(), 'next', 'its line began before anybody looked');
  await appendFile(join(dir, 'logs', 'b.log'), line(2, 'two'));
  t.match(await lines.next(), / two$/, 'its line begins where it ended');
});

await t.test('of long files the end is shown, from a whole line on', async (t) => {
  const dir = t.testdir({});
  const path = join(dir, 'long.log');
  await writeFile(path, Array.from({ length: 5000 }, (_n, n) => line(n, `record ${n}`)).join(''));
  const driver = logDriver(t, logEntry(dir, [{ files: [path] }]));
  const [source] = await openNewest(driver, {}, new AbortController().signal);
  if (!source) throw new Error('no source');
  const lines = (await text(bytesOf(source))).trimEnd().split('\n');
  t.match(lines.at(-1), /record 4999$/);
  t.match(lines[0], /^2026-11-29T1\d:\d\d:\d\d\.000Z record \d+$/);
  t.ok(lines.length > 1000 && lines.length < 2500);
  t.same(codesOf(source.notes?.() ?? []), ['older_left_out']);
});

await t.test('a command gives its last lines, and is not followed', async (t) => {
  const driver = logDriver(t, logEntry(t.testdir({}), [{ command: ['/usr/bin/seq', '1', '3000'] }]));
  const [source] = await openNewest(driver, { follow: true }, new AbortController().signal);
  if (!source) throw new Error('no source');
  const lines = (await text(bytesOf(source))).trimEnd().split('\n');
  t.same([lines.length, lines[0], lines.at(-1)], [1000, '2001', '3000']);
  t.same(codesOf(source.notes?.() ?? []), ['older_left_out', 'not_followed']);
});
