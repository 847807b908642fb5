/** Files that are followed, from what a station streams: their lines, and the room that they take. */
import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import type { LogContext } from '../src/logs/log-context.js';
import { newestOfFiles, placesOf } from '../src/logs/newest-files.js';
import { plainText } from '../src/station-text.js';

const MIB = 1024 * 1024;
const NOW = { ms: 1_800_000_000_000, zoneMinutes: 0, sinceBootMicros: 1, boot: '' };
const WINDOW = { oldest: Number.NEGATIVE_INFINITY, latest: Number.POSITIVE_INFINITY };

const file = (number: number, sizeBytes: number) => ({
  inode: `1:${number}`,
  sizeBytes,
  modifiedMs: NOW.ms - number,
  isReadable: true,
  path: `/log/${number}.log`,
});
type File = ReturnType<typeof file>;

/** What the script says of one: `text`, which stands behind `offset` bytes. */
const part = (number: number, offset: number, text: string): string =>
  `\nmark begin 1 1:${number} ${offset} /log/${number}.log\n${text}\nmark end 1\n`;

async function follow(files: readonly File[], streamed: () => Iterable<Buffer> | AsyncIterable<Buffer>) {
  const context: LogContext = {
    window: WINDOW,
    texts: plainText,
    now: NOW,
    furthest: Number.POSITIVE_INFINITY,
    boundary: () => 'mark',
    begin: async () => Readable.from(streamed(), { highWaterMark: 1 }),
    list: () => Promise.reject(new Error('nobody asks for another list')),
  };
  const plan = { name: 'files', isNamed: false, kind: 'files', globs: ['/log/*.log'], accepts: () => true } as const;
  const listing = { kind: 'files', files, denied: [], left: [] } as const;
  return newestOfFiles(plan, listing, context, true, []);
}

async function textOf(files: readonly File[], streamed: readonly string[]): Promise<string> {
  const { stream } = await follow(files, () => streamed.map((text) => Buffer.from(text, 'latin1')));
  let all = '';
  for await (const piece of stream as AsyncIterable<Buffer>) all += piece.toString('latin1');
  return all;
}

void t.test('the end of a file that has no line end: what is behind it is the same line', async (t) => {
  const size = 100_000;
  const end = size - 64 * 1024;
  const long = 'x'.repeat(64 * 1024);
  t.equal(await textOf([file(1, size)], [part(1, end, long)]), '');
  t.equal(
    await textOf([file(1, size)], [part(1, end, long), part(1, size, 'ter2"'), part(1, size + 5, '}\nnext\n')]),
    'next\n',
  );
  t.equal(await textOf([file(1, size)], [part(1, end, long), part(1, 0, 'emptied\n')]), 'emptied\n');
});

void t.test('a file that nothing was read of, and one that came to be', async (t) => {
  const files = [1, 2, 3, 4, 5, 6].map((number) => file(number, 10));
  const parts = [part(6, 9, '\n'), part(6, 10, 'one\n'), part(7, 0, 'new\n'), part(8, 5, 'ter2"\nnext\n')];
  t.equal(await textOf(files, parts), 'one\nnew\nnext\n');
});

void t.test('of a line that was given up nothing more is shown', async (t) => {
  const files = [1, 2, 3, 4, 5].map((number) => file(number, 0));
  const start = `"password":"hun`;
  const long = `${'y'.repeat(900 * 1024)}${start}`;
  const begun = files.map((_file, index) => part(index + 1, 0, long));
  const ended = files.map((_file, index) => part(index + 1, long.length, 'ter2"}\nnext\n'));
  const shown = await textOf(files, [...begun, ...ended]);
  t.equal(shown.split(start).length - 1, 5);
  t.ok(shown.includes(`${start}\nnext\n`), 'one was given up');
  t.equal(shown.split(`${start}ter2"}\nnext\n`).length - 1, 4, 'and the others are whole');
});

void t.test('from where on files are read', (t) => {
  const files = [file(1, 100_000), file(2, 10), file(3, 20), file(4, 0)];
  const places = placesOf(files, files.slice(0, 1), (path) => path !== '/log/3.log');
  t.same([...places.values()], [100_000 - 64 * 1024, 9, 20, 0]);
  t.end();
});

void t.test('thousands of files whose last line has no end take no more room than that', async (t) => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const room = async (): Promise<number> => {
    // What was freed is counted a turn later.
    for (let turn = 0; turn < 5; turn += 1) {
      collect();
      await setImmediate();
    }
    return process.memoryUsage().arrayBuffers;
  };
  const count = 2000;
  const line = 'y'.repeat(5000);
  let grown = Number.POSITIVE_INFINITY;
  const streamed = async function* (): AsyncGenerator<Buffer, void, undefined> {
    const before = await room();
    for (let number = 0; number < count; number += 1) {
      yield Buffer.from(`\nmark begin 1 1:${number} 0 /log/a.log\n${line}`);
      yield Buffer.from(`\nx\nmark end 1\n`);
    }
    grown = (await room()) - before;
  };
  const { stream } = await follow([], streamed);
  let lines = 0;
  for await (const piece of stream as AsyncIterable<Buffer>) lines += piece.toString('latin1').split('\n').length - 1;
  t.equal(lines, 2 * count);
  t.ok(grown < 4 * MIB, `${(grown / MIB).toFixed(1)} MiB`);
});
