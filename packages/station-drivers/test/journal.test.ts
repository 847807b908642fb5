import { buffer } from 'node:stream/consumers';
import { awaitUntil } from '@khumbu/test-support/events';
import t from 'tap';
import { eventStream, type JournalShape, journalStream } from '../src/simulated/journal.js';

const { signal } = new AbortController();
const firstAt = Date.UTC(2029, 11, 31, 23, 59, 57, 123);
const shape: JournalShape = { station: 'one', type: 'DiagnosticsLog', firstAt, intervalMs: 1501, recordBytes: 100 };
const timeOfRecord = (index: number): number => firstAt + index * shape.intervalMs;

const read = (from: JournalShape, oldest: number, latest: number): Promise<Buffer> =>
  buffer(journalStream(from, { oldest, latest }, signal));

await t.test('records: one an interval, of the size asked for, each stamped with its time', async (t) => {
  const count = 3000;
  const bytes = await read(shape, 0, timeOfRecord(count - 1));
  t.equal(bytes.length, count * shape.recordBytes);
  const lines = bytes.toString().trimEnd().split('\n');
  t.equal(lines.length, count);
  const wrong = lines.filter(
    (line, index) =>
      !line.startsWith(`${new Date(timeOfRecord(index)).toISOString()} ${String(index).padStart(10, '0')} `),
  );
  t.same(wrong, []);
  t.ok(new Set(lines.map((line) => line.slice(36))).size > 500, 'they say different things');
});

await t.test('the window is exact, and a part of the whole', async (t) => {
  const whole = await read(shape, 0, timeOfRecord(2999));
  for (const [oldest, latest, first, end] of [
    [timeOfRecord(10), timeOfRecord(20), 10, 21],
    [timeOfRecord(10) + 1, timeOfRecord(20) - 1, 11, 20],
    [timeOfRecord(10) - 1, timeOfRecord(20) + 1, 10, 21],
    [timeOfRecord(700), timeOfRecord(2900), 700, 2901],
    [timeOfRecord(7), timeOfRecord(7), 7, 8],
    [timeOfRecord(7) + 1, timeOfRecord(8) - 1, 0, 0],
    [timeOfRecord(8), timeOfRecord(7), 0, 0],
    [0, firstAt - 1, 0, 0],
  ] as const) {
    const part = await read(shape, oldest, latest);
    t.ok(part.equals(whole.subarray(first * shape.recordBytes, end * shape.recordBytes)), `${first} to ${end}`);
  }
});

await t.test('the same again for the same station, another for another one or type', async (t) => {
  const [one, again, station, type] = await Promise.all(
    [shape, { ...shape }, { ...shape, station: 'two' }, { ...shape, type: 'SecurityLog' as const }].map((from) =>
      read(from, 0, timeOfRecord(99)),
    ),
  );
  t.ok(one?.equals(again ?? Buffer.alloc(0)));
  t.notOk(one?.equals(station ?? Buffer.alloc(0)));
  t.notOk(one?.equals(type ?? Buffer.alloc(0)));
});

await t.test('records of any size', async (t) => {
  for (const recordBytes of [64, 160, 65_536, 200_000]) {
    const bytes = await read({ ...shape, recordBytes }, 0, timeOfRecord(2));
    t.equal(bytes.length, 3 * recordBytes);
    t.equal(bytes.toString('latin1').split('\n').length, 4);
    t.notMatch(bytes.toString('latin1'), /[^\n -~]/);
  }
});

await t.test('a reader that waits holds the stream back, and the signal ends it', async (t) => {
  const abort = new AbortController();
  const endless = journalStream(shape, { oldest: 0, latest: 1e15 }, abort.signal);
  let got = 0;
  await t.rejects(
    async () => {
      for await (const part of endless) {
        got += (part as Buffer).length;
        t.ok(endless.readableLength <= 128 * 1024, 'no more than two chunks ahead');
        if (got > 1e6) abort.abort();
      }
    },
    { name: 'AbortError' },
  );
  t.ok(endless.destroyed);
});

await t.test('a greedy reader leaves timers their turn', async (t) => {
  const abort = new AbortController();
  const endless = journalStream(shape, { oldest: 0, latest: 1e15 }, abort.signal);
  endless.resume();
  setTimeout(() => abort.abort(), 1);
  const [error] = await new Promise<readonly unknown[]>((resolve) => endless.on('error', (...args) => resolve(args)));
  t.match(error, { name: 'AbortError' });
});

await t.test('events in time order, inside the window', async (t) => {
  const events = [5, 3, 9, 3, 1].map((at, index) => ({ at, text: `event ${index}` }));
  const lines = (await buffer(eventStream(events, { oldest: 3, latest: 5 }, signal))).toString().trimEnd().split('\n');
  t.same(
    lines.map((line) => line.replace(/^1970-01-01T00:00:00\.00(\d)Z/, '$1')),
    ['3 event 1', '3 event 3', '5 event 0'],
  );
});

void t.test('what nobody reads ends with its signal, and nothing else does', async (t) => {
  const window = { oldest: 0, latest: 1e15 };
  const late = new AbortController();
  const streams = [journalStream(shape, window, late.signal), eventStream([], window, AbortSignal.abort())];
  late.abort();
  for (const stream of streams) {
    await awaitUntil(() => stream.closed, 30_000, 'it to end');
    await t.rejects(buffer(stream), { name: 'AbortError' }, 'who reads it later is told');
  }
});
