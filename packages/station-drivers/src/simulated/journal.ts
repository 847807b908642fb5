/**
 * Logs of a simulated charger: records at a fixed interval, made up when they are read, and the events that really
 * happened to it. The same station, shape and window give the same bytes. One line per record, in ASCII, beginning
 * with its time (RFC 3339, UTC, milliseconds).
 */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { LogType } from '../port.js';
import type { ChargerEvent } from './charger.js';
import { recordBody } from './record-bodies.js';

/** Where records lie in time: one at `firstAt + n * intervalMs` each. Milliseconds of the charger's clock. */
export interface JournalShape {
  readonly station: string;
  readonly type: LogType;
  readonly firstAt: number;
  readonly intervalMs: number;
  /** Size of a line with its newline; at least 64. */
  readonly recordBytes: number;
}

/** Inclusive bounds, in milliseconds. */
export interface JournalWindow {
  readonly oldest: number;
  readonly latest: number;
}

const chunkBytes = 64 * 1024;
const chunksPerTurn = 16;
/** `2025-01-01T00:00:00.000Z 0000000000 ` */
const timeBytes = 24;
const minuteBytes = '2025-01-01T00:00:'.length;
const serialBytes = 10;
const headBytes = timeBytes + 1 + serialBytes + 1;
const minuteMs = 60_000;

/** Indexes of the records inside the window: from `first` up to, not including, `end`. */
export function recordsIn(
  shape: JournalShape,
  window: JournalWindow,
): { readonly first: number; readonly end: number } {
  const first = Math.max(0, Math.ceil((window.oldest - shape.firstAt) / shape.intervalMs));
  const end = Math.floor((window.latest - shape.firstAt) / shape.intervalMs) + 1;
  return { first, end: Math.max(first, end) };
}

/** Stream the records inside the window. Ends with an `AbortError` when the signal fires. */
export function journalStream(shape: JournalShape, window: JournalWindow, signal: AbortSignal): Readable {
  const { first, end } = recordsIn(shape, window);
  return streamOf(chunks(shape, first, end), signal);
}

/** Like `journalStream`, but it breaks with `LOGS_UNAVAILABLE` after half of the records. */
export function brokenJournalStream(shape: JournalShape, window: JournalWindow, signal: AbortSignal): Readable {
  const { first, end } = recordsIn(shape, window);
  // Nothing is read ahead: an error drops what was not consumed yet.
  return streamOf(broken(chunks(shape, first, first + Math.floor((end - first) / 2))), signal, 1);
}

async function* broken(whole: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield* whole;
  throw new CodedError('LOGS_UNAVAILABLE', 'the station broke the log stream off; try again');
}

export const lineOf = ({ at, text }: ChargerEvent): string => `${new Date(at).toISOString()} ${text}\n`;

/** Stream the events inside the window, in time order. */
export function eventStream(events: readonly ChargerEvent[], window: JournalWindow, signal: AbortSignal): Readable {
  const lines = events
    .filter(({ at }) => at >= window.oldest && at <= window.latest)
    .toSorted((a, b) => a.at - b.at)
    .map((event) => Buffer.from(lineOf(event)));
  return streamOf(lines, signal);
}

/** Its reader gets the reason of the signal. Without a reader, that error must not end the process. */
export const streamOf = (
  source: Iterable<Buffer> | AsyncIterable<Buffer>,
  signal: AbortSignal,
  highWaterMark: number = chunkBytes,
): Readable => Readable.from(source, { objectMode: false, highWaterMark, signal }).on('error', () => undefined);

export async function* chunks(shape: JournalShape, first: number, end: number): AsyncGenerator<Buffer> {
  const perChunk = Math.max(1, Math.floor(chunkBytes / shape.recordBytes));
  const template = templateOf(shape, perChunk);
  let made = 0;
  for (let index = first; index < end; ) {
    // A fast reader must not keep timers and signals from their turn.
    if (++made % chunksPerTurn === 0) await nextTurn();
    const records = Math.min(perChunk - (index % perChunk), end - index);
    yield chunk(shape, template, index, index % perChunk, records);
    index += records;
  }
}

/** The bodies of `count` records, with room for time and serial number. */
function templateOf(shape: JournalShape, count: number): Buffer {
  const seed = createHash('sha256')
    .update(JSON.stringify([shape.station, shape.type]))
    .digest();
  const template = Buffer.alloc(count * shape.recordBytes, ' ');
  for (let index = 0; index < count; index++) {
    const end = (index + 1) * shape.recordBytes;
    const body = recordBody(shape.type, seed, index, shape.recordBytes - headBytes - 1);
    template.write(body, index * shape.recordBytes + headBytes, 'latin1');
    template.write('\n', end - 1, 'latin1');
  }
  return template;
}

function chunk(shape: JournalShape, template: Buffer, index: number, slot: number, records: number): Buffer {
  const { recordBytes, firstAt, intervalMs } = shape;
  const bytes = Buffer.from(template.subarray(slot * recordBytes, (slot + records) * recordBytes));
  let minute = Number.NEGATIVE_INFINITY;
  let minuteAt = 0;
  for (let n = 0; n < records; n++) {
    const offset = n * recordBytes;
    const time = firstAt + (index + n) * intervalMs;
    if (time - minute < minuteMs) bytes.copyWithin(offset, minuteAt, minuteAt + timeBytes);
    else {
      minute = Math.floor(time / minuteMs) * minuteMs;
      minuteAt = offset;
      bytes.write(new Date(time).toISOString(), offset, 'latin1');
    }
    const ms = time - minute;
    digits(bytes, offset + minuteBytes, Math.floor(ms / 1000), 2);
    digits(bytes, offset + minuteBytes + 3, ms % 1000, 3);
    digits(bytes, offset + timeBytes + 1, index + n, serialBytes);
  }
  return bytes;
}

/** Write the last `count` digits of a number. */
function digits(bytes: Buffer, offset: number, value: number, count: number): void {
  let rest = value;
  for (let at = offset + count - 1; at >= offset; at--) {
    const tens = Math.floor(rest / 10);
    bytes[at] = 48 + rest - tens * 10;
    rest = tens;
  }
}
