/**
 * The stream of events, read for all subscribers of this process. One connection waits for what is new; the newest
 * entries are kept in a ring, and whoever is further behind reads from Redis at his own pace. Memory is bounded by the
 * ring and one page a subscriber.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { Keys } from '@khumbu/operations/records/keys';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { Redis } from 'ioredis';
import { createTurns } from '../turns.js';
import { compareIds, idBefore } from './stream-ids.js';

const RING = 1000;
const PAGE = 200;
/** Whoever is far behind reads in smaller pieces, and a few do at once: reading takes the thread that answers stations. */
const REPLAY_PAGE = 50;
const REPLAYS_AT_ONCE = 2;
const BLOCK_MS = 5000;
/** A connection that keeps silent for this much longer is dead. */
const SILENCE_MS = 5000;

export interface Entry {
  readonly id: string;
  readonly type: string;
  readonly station: string;
  readonly kind: string;
  /** JSON of the event. */
  readonly data: string;
}

export interface Page {
  /** Entries between these ids are not kept any more. */
  readonly gap?: { readonly after: string; readonly until: string };
  readonly entries: readonly Entry[];
}

const GROUP = 8;

async function inGroups<T>(all: readonly T[], act: (one: T) => void): Promise<void> {
  for (let at = 0; at < all.length; at += GROUP) {
    if (at > 0) await turn();
    for (const one of all.slice(at, at + GROUP)) act(one);
  }
}

type RawEntry = [id: string, fields: string[]];

function readEntry([id, fields]: RawEntry): Entry {
  const values = new Map<string, string>();
  for (let i = 0; i + 1 < fields.length; i += 2) values.set(fields[i] ?? '', fields[i + 1] ?? '');
  const value = (name: string): string => values.get(name) ?? '';
  return { id, type: value('type'), station: value('station'), kind: value('kind'), data: value('event') };
}

export interface EventLog {
  /** Where a subscriber begins who wants only what comes from now on. Asks Redis: right at any replica. */
  newestId(): Promise<string>;
  /** What follows `cursor`; no entries: nothing yet. Of those who are far behind each caller has his turn. */
  after(cursor: string, caller?: string): Promise<Page>;
  /** Resolves when there may be something after `cursor`, or when the signal fires. */
  beyond(cursor: string, signal: AbortSignal): Promise<void>;
  /** Progress is not kept: whoever listens hears it. Returns what ends it. */
  onProgress(listener: (entry: Entry) => void): () => void;
  stop(): void;
}

/** `waiting` is a connection of its own, `redis` the one for everything else. Rejects when Redis does not answer. */
export async function openEventLog({
  waiting,
  redis,
  keys,
  log,
}: {
  waiting: Redis;
  redis: Redis;
  keys: Keys;
  log: Logger;
}): Promise<EventLog> {
  const stopping = new AbortController();
  const waiters = new Set<() => void>();
  const listeners = new Set<(entry: Entry) => void>();
  let ring: Entry[] = [];

  const newestId = async (connection: Redis = redis, stream = keys.events): Promise<string> => {
    const [newest] = await connection.xrevrange(stream, '+', '-', 'COUNT', 1);
    return newest?.[0] ?? '0-0';
  };
  /** All entries after this one are in the ring. */
  let ringStart = await newestId(waiting);
  let newest = ringStart;
  let newestProgress = await newestId(waiting, keys.progressEvents);

  /** In small groups, a turn of the event loop each: hundreds that format and write at once would keep stations waiting. */
  const wake = (): void => {
    const all = [...waiters];
    waiters.clear();
    void inGroups(all, (resolve) => resolve());
  };

  const take = (entries: readonly Entry[]): void => {
    ring.push(...entries);
    newest = ring.at(-1)?.id ?? newest;
    if (ring.length > RING) {
      ringStart = ring.at(-RING - 1)?.id ?? ringStart;
      ring = ring.slice(-RING);
    }
    wake();
  };

  /** Redis has lost its end, or was emptied: what we have seen last will never be followed. */
  const lookForLoss = async (): Promise<void> => {
    const there = await newestId();
    if (compareIds(there, newest) >= 0) return;
    log.warn('the stream of events is shorter than it was');
    ring = [];
    ringStart = there;
    newest = there;
    wake();
  };

  const readOnce = async (): Promise<void> => {
    const silence = setTimeout(() => waiting.disconnect(true), BLOCK_MS + SILENCE_MS);
    try {
      const streams = [keys.events, keys.progressEvents, newest, newestProgress] as const;
      const reply = await waiting.xread('COUNT', PAGE, 'BLOCK', BLOCK_MS, 'STREAMS', ...streams);
      if (!reply) return await lookForLoss();
      for (const [key, raw] of reply as [string, RawEntry[]][]) {
        const entries = raw.map(readEntry);
        if (key === keys.events) take(entries);
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
        await new Promise((resolve) => setTimeout(resolve, 200).unref());
      }
    }
  };
  void run();

  const replays = createTurns({
    atOnce: REPLAYS_AT_ONCE,
    mostWaiting: Number.POSITIVE_INFINITY,
    longestWaitMs: Number.POSITIVE_INFINITY,
  });
  const fromRedis = async (cursor: string): Promise<Page> => {
    const replies = await redis
      .multi()
      .xrange(keys.events, `(${cursor}`, '+', 'COUNT', REPLAY_PAGE)
      .xrange(keys.events, '-', '+', 'COUNT', 1)
      .xrevrange(keys.events, '+', '-', 'COUNT', 1)
      .exec();
    const [page = [], [first] = [], [last] = []] = (replies ?? []).map(([error, entries]) => {
      if (error) throw error;
      return entries as RawEntry[];
    });
    const end = last?.[0] ?? '0-0';
    if (compareIds(cursor, end) > 0) return { gap: { after: cursor, until: end }, entries: [] };
    const entries = page.map(readEntry);
    const isCut = first !== undefined && cursor !== '0-0' && compareIds(first[0], cursor) > 0;
    return isCut ? { gap: { after: cursor, until: idBefore(first[0]) }, entries } : { entries };
  };

  return {
    newestId: () => newestId(),
    async after(cursor, caller = '') {
      if (compareIds(cursor, ringStart) < 0 || compareIds(cursor, newest) > 0)
        return replays.run(
          caller,
          () => false,
          () => fromRedis(cursor),
        );
      // From the end: that is where nearly everybody is.
      let begin = ring.length;
      while (begin > 0 && compareIds(ring[begin - 1]?.id ?? '', cursor) > 0) begin -= 1;
      return { entries: ring.slice(begin, begin + PAGE) };
    },
    async beyond(cursor, signal) {
      if (signal.aborted || compareIds(newest, cursor) > 0) return;
      await new Promise<void>((resolve) => {
        const done = (): void => {
          waiters.delete(done);
          signal.removeEventListener('abort', done);
          resolve();
        };
        waiters.add(done);
        signal.addEventListener('abort', done, { once: true });
      });
    },
    onProgress(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    stop() {
      stopping.abort();
      waiting.disconnect();
      wake();
    },
  };
}
