/** One subscriber of events: reads the log at its own pace and writes Server-Sent Events (WHATWG HTML, 9.2). */
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import type { Entry } from '@khumbu/operations/events/stream-entries';
import { onAbort } from '@khumbu/shared/runtime/abort';
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { EventLoopTurn } from '../event-loop-turn.js';
import type { EventLog } from './event-log.js';

const WRITTEN_AT_ONCE = 20;

export interface Filter {
  readonly stations?: ReadonlySet<string>;
  readonly kinds?: ReadonlySet<string>;
  readonly types?: ReadonlySet<string>;
}

export interface SubscriptionOptions {
  readonly log: EventLog;
  readonly eventLoopTurn: EventLoopTurn;
  readonly caller: string;
  readonly filter: Filter;
  /** Events after this one. */
  readonly cursor: string;
  readonly keepAliveMs: number;
  /** A subscriber that reads nothing for this long is disconnected; it can resume by its last event id. */
  readonly stallMs: number;
  readonly signal: AbortSignal;
}

/** Whether an event is one that was asked for. Pure. Events of stations have no kind. */
function passes(
  { stations, kinds, types }: Filter,
  { station, kind, type }: Pick<Entry, 'station' | 'kind' | 'type'>,
): boolean {
  if (stations && !stations.has(station)) return false;
  if (types && !types.has(type)) return false;
  return !kinds || kinds.has(kind);
}

const formatEntry = ({ id, type, data }: Entry): string => `id: ${id}\nevent: ${type}\ndata: ${data}\n\n`;
/** Without an id: progress is not replayed, and a reconnect goes on after the last event that has one. */
const formatProgress = ({ data }: Entry): string => `event: progress\ndata: ${data}\n\n`;
/** An event without data sets the client's Last-Event-ID and is not dispatched. */
const formatPlace = (cursor: string): string => `id: ${cursor}\n\n`;

/** Rejects with `STALLED` when nothing was read in time. */
export async function drained(output: Writable, signal: AbortSignal, stallMs: number): Promise<void> {
  // Not `AbortSignal.any`: a signal that lives as long as the subscriber would keep one of them for each write.
  const ended = new AbortController();
  const end = (): void => ended.abort();
  const timer = setTimeout(end, stallMs);
  const withdraw = onAbort(signal, end);
  try {
    await once(output, 'drain', { signal: ended.signal });
  } catch (error) {
    if (!signal.aborted && ended.signal.aborted) throw new CodedError('STALLED', 'the subscriber does not read');
    throw error;
  } finally {
    clearTimeout(timer);
    withdraw();
  }
}

/** Serve the subscriber until the signal fires or it disconnects. Rejects when the log cannot be read: it reconnects. */
export async function serveSubscriber(output: Writable, options: SubscriptionOptions): Promise<void> {
  const { log, eventLoopTurn, caller, filter, signal } = options;
  let cursor = options.cursor;

  const write = async (text: string): Promise<void> => {
    if (output.destroyed || output.write(text)) return;
    await drained(output, signal, options.stallMs);
  };

  await write(`retry: 1000\n${formatPlace(cursor)}`);
  const keepAlive = setInterval(() => {
    if (!output.writableNeedDrain) output.write(`: keep-alive\n${formatPlace(cursor)}`);
  }, options.keepAliveMs);
  const endProgress = log.onProgress((entry) => {
    if (!output.writableNeedDrain && passes(filter, entry)) output.write(formatProgress(entry));
  });
  try {
    while (!signal.aborted) {
      const { gap, entries } = await log.after(cursor, caller);
      if (gap) {
        cursor = gap.until;
        await write(`id: ${cursor}\nevent: gap\ndata: ${JSON.stringify({ type: 'gap', ...gap })}\n\n`);
      }
      for (let at = 0; at < entries.length; at += WRITTEN_AT_ONCE) {
        // A subscriber that is far behind must not delay stations.
        if (entries.length > WRITTEN_AT_ONCE) await eventLoopTurn();
        if (signal.aborted) return;
        const some = entries.slice(at, at + WRITTEN_AT_ONCE);
        const text = some
          .filter((entry) => passes(filter, entry))
          .map(formatEntry)
          .join('');
        if (text !== '') await write(text);
        cursor = some.at(-1)?.id ?? cursor;
      }
      if (entries.length === 0) await log.beyond(cursor, signal);
    }
  } finally {
    clearInterval(keepAlive);
    endProgress();
  }
}
