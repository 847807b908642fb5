/** Logs of a simulated charger as they come to be. */
import type { Readable } from 'node:stream';
import { sleep } from '@khumbu/shared/runtime/abort';
import type { ChargerEvent } from './charger.js';
import { chunks, type JournalShape, type JournalWindow, lineOf, recordsIn, streamOf } from './journal.js';

const NEWEST = 1000;
const LOOK_MS = 500;

interface Followed {
  readonly window: JournalWindow;
  /** The charger's clock, milliseconds. */
  readonly clock: () => number;
  readonly follow: boolean;
  readonly signal: AbortSignal;
}

/** The newest records, and each further one when its time has come. Ends with an `AbortError` when the signal fires. */
export function newestRecords(shape: JournalShape, { window, clock, follow, signal }: Followed): Readable {
  const endNow = (): number => recordsIn(shape, { ...window, latest: Math.min(window.latest, clock()) }).end;
  const records = async function* (): AsyncGenerator<Buffer, void, undefined> {
    let end = endNow();
    yield* chunks(shape, Math.max(recordsIn(shape, window).first, end - NEWEST), end);
    while (follow && !signal.aborted) {
      await sleep(Math.max(1, Math.min(60_000, shape.firstAt + end * shape.intervalMs - clock())), signal);
      const now = endNow();
      yield* chunks(shape, end, now);
      end = Math.max(end, now);
    }
  };
  return streamOf(records(), signal);
}

/** The events so far, and each further one soon after it has happened. */
export function newestEvents(
  read: () => Promise<readonly ChargerEvent[]>,
  { window, follow, signal }: Omit<Followed, 'clock'>,
): Readable {
  const lines = async function* (): AsyncGenerator<Buffer, void, undefined> {
    const told = new Set<string>();
    const news = async (): Promise<readonly string[]> =>
      (await read())
        .filter(({ at }) => at >= window.oldest && at <= window.latest)
        .toSorted((a, b) => a.at - b.at)
        .map(lineOf)
        .filter((line) => !told.has(line));
    for (;;) {
      const fresh = await news();
      for (const line of fresh) told.add(line);
      if (fresh.length > 0) yield Buffer.from(fresh.slice(-NEWEST).join(''));
      if (!follow || signal.aborted) return;
      await sleep(LOOK_MS, signal);
    }
  };
  return streamOf(lines(), signal);
}
