/**
 * The stream of events, read for all subscribers of this process. One connection waits for what is new; the newest entries
 * are kept in a ring, and a subscriber that is further behind reads pages from Redis. Memory is bounded by the ring and one
 * page for each subscriber.
 */

import {
  type Entry,
  newestId,
  type Page,
  type RawEntry,
  readEntry,
  readPage,
} from '@khumbu/operations/events/stream-entries';
import { compareIds } from '@khumbu/operations/events/stream-ids';
import type { Keys } from '@khumbu/operations/records/keys';
import { sleep } from '@khumbu/shared/runtime/abort';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { Redis } from 'ioredis';
import { createRequestQueue } from '../request-queue.js';
import { EventRing, inGroups } from './event-ring.js';

const READ_AT_ONCE = 200;
const REPLAYS_AT_ONCE = 2;
const BLOCK_MS = 5000;
/** A connection that stays silent for this much longer is dead. */
const SILENCE_MS = 5000;
const RETRY_MS = 200;

export type EventLog = Awaited<ReturnType<typeof openEventLog>>;

/** Rejects when Redis does not answer. `waiting`: a connection of its own that waits for events, closed at `stop`. */
export async function openEventLog(waiting: Redis, redis: Redis, keys: Keys, log: Logger) {
  const stopping = new AbortController();
  const listeners = new Set<(entry: Entry) => void>();
  const ring = new EventRing(await newestId(waiting, keys.events));
  let newestProgress = await newestId(waiting, keys.progressEvents);

  /** Redis has lost its newest entries, or was emptied: nothing will follow the newest id that was read. */
  const detectLoss = async (): Promise<void> => {
    const stored = await newestId(redis, keys.events);
    if (compareIds(stored, ring.newest) >= 0) return;
    log.warn('the stream of events is shorter than it was');
    ring.reset(stored);
  };

  const readOnce = async (): Promise<void> => {
    const silence = setTimeout(() => waiting.disconnect(true), BLOCK_MS + SILENCE_MS);
    try {
      const streams = [keys.events, keys.progressEvents, ring.newest, newestProgress] as const;
      const reply = await waiting.xread('COUNT', READ_AT_ONCE, 'BLOCK', BLOCK_MS, 'STREAMS', ...streams);
      if (!reply) return await detectLoss();
      for (const [key, raw] of reply as [string, RawEntry[]][]) {
        const entries = raw.map(readEntry);
        if (key === keys.events) ring.add(entries);
        else {
          newestProgress = entries.at(-1)?.id ?? newestProgress;
          for (const entry of entries) await inGroups([...listeners], (listener) => listener(entry));
        }
      }
    } finally {
      clearTimeout(silence);
    }
  };

  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      try {
        await readOnce();
      } catch (error) {
        if (stopping.signal.aborted) return;
        log.debug({ reason: describeError(error) }, 'events cannot be read');
        await sleep(RETRY_MS, stopping.signal);
      }
    }
  };
  void run();

  const replays = createRequestQueue({
    atOnce: REPLAYS_AT_ONCE,
    mostWaiting: Number.POSITIVE_INFINITY,
    longestWaitMs: Number.POSITIVE_INFINITY,
  });
  const isGone = (): boolean => false;

  return {
    /** Where a subscriber begins that wants only events from now on. Asks Redis: right at any replica. */
    newestId: (): Promise<string> => newestId(redis, keys.events),
    /** What follows `cursor`; no entries: nothing yet. Pages from Redis are read for a few callers at once, in turn. */
    async after(cursor: string, caller = ''): Promise<Page> {
      const entries = ring.after(cursor);
      return entries ? { entries } : replays.run(caller, isGone, () => readPage(redis, keys.events, cursor));
    },
    /** Resolves when there may be something after `cursor`, or when the signal fires. */
    beyond: (cursor: string, signal: AbortSignal): Promise<void> => ring.beyond(cursor, signal),
    /** Progress is not kept: only present listeners get it. Returns what removes the listener. */
    onProgress(listener: (entry: Entry) => void): () => void {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    stop(): void {
      stopping.abort();
      waiting.disconnect();
      ring.wake();
    },
  };
}
