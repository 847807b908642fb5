/**
 * Looks at stations before they are used: asked for over REST, done by a worker that has the drivers, told by Redis. No record:
 * nothing follows from a look, and one that is lost is asked for again.
 */
import { Queue, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Keys } from '../records/keys.js';
import { redisTimeMs } from '../records/redis-time.js';
import { repliesOf } from '../records/replies.js';

const QUEUE = 'driver-check';
/** How long the last look at a station is remembered. */
const KEPT_S = 30 * 86_400;
/** One that was asked for and is not done after this is lost: no worker took it, or the one that did has died. */
const PATIENCE_MS = 10 * 60_000;

const JOB = { attempts: 100, backoff: { type: 'fixed', delay: 1000 }, removeOnComplete: true, removeOnFail: true };

interface LookData {
  readonly station: string;
}

/** What is known of looks at a station. `R` is what the driver tells. Times are by the clock of Redis. */
export interface StoredLook<R> {
  readonly running: boolean;
  readonly askedAt: number;
  /** Absent: none has ended yet. */
  readonly checkedAt?: number;
  readonly ageMs?: number;
  readonly result?: R;
}

/** Ids of jobs hold no colon and are no number; names of stations may. */
const jobIdOf = (station: string): string => `look.${Buffer.from(station).toString('base64url')}`;

/** The last look at a station; `undefined`: none was asked for. Rejects when Redis does not answer. */
export async function readLook<R>(redis: Redis, keys: Keys, station: string): Promise<StoredLook<R> | undefined> {
  type Seen = [time: [string, string], fields: Record<string, string>];
  const [[seconds], { asked, checked, result }] = await repliesOf<Seen>(
    redis.multi().time().hgetall(keys.driverCheck(station)),
  );
  if (asked === undefined) return undefined;
  const nowMs = Number(seconds) * 1000;
  const [askedAt, checkedAt] = [Number(asked), checked === undefined ? undefined : Number(checked)];
  return {
    askedAt,
    running: (checkedAt === undefined || checkedAt < askedAt) && nowMs - askedAt < PATIENCE_MS,
    ...(checkedAt === undefined || result === undefined
      ? {}
      : { checkedAt, ageMs: Math.max(0, nowMs - checkedAt), result: JSON.parse(result) as R }),
  };
}

export interface LookAsker {
  /** Ask for a look. One that is under way is the answer as well. Rejects when Redis does not answer. */
  ask(station: string): Promise<void>;
  close(): Promise<void>;
}

export interface LookAskerOptions {
  /** Fails fast: whoever asks hears soon that Redis is away. */
  readonly prompt: Redis;
  /** Waits for Redis, as BullMQ wants it. */
  readonly patient: Redis;
  readonly keys: Keys;
}

export function createLookAsker({ prompt: redis, patient, keys }: LookAskerOptions): LookAsker {
  const queue = new Queue<LookData>(QUEUE, { connection: patient, prefix: keys.jobs });
  // Connection trouble shows at each call; without a listener it would end the process.
  queue.on('error', () => undefined);
  return {
    async ask(station) {
      const under = await readLook(redis, keys, station);
      if (!under?.running) {
        const key = keys.driverCheck(station);
        const now = await redisTimeMs(redis);
        await repliesOf(redis.multi().hset(key, 'asked', String(now)).expire(key, KEPT_S));
      }
      // A job that is there stays as it is. It fails only where a worker ended or Redis was away: another one takes it up.
      await queue.add('look', { station }, { ...JOB, jobId: jobIdOf(station) });
    },
    close: () => queue.close(),
  };
}

export interface LookWorkerOptions<R> {
  readonly redis: Redis;
  readonly keys: Keys;
  readonly concurrency: number;
  /** A look at a station. What it rejects with is told by `failed`. */
  readonly look: (station: string, signal: AbortSignal) => Promise<R>;
  /** What is told where a look could not be had. */
  readonly failed: (error: unknown) => R;
  readonly onError: (error: unknown) => void;
}

/** Do the looks that are asked for, until stopped. */
export function startLookWorker<R>({ redis, keys, concurrency, look, failed, onError }: LookWorkerOptions<R>) {
  const stopping = new AbortController();
  const worker = new Worker<LookData>(
    QUEUE,
    async ({ data: { station } }) => {
      const { signal } = stopping;
      const result = await look(station, signal).catch((error: unknown) => {
        // Another worker takes it up.
        signal.throwIfAborted();
        return failed(error);
      });
      const now = await redisTimeMs(redis);
      const fields = { checked: String(now), result: JSON.stringify(result) };
      const key = keys.driverCheck(station);
      await repliesOf(redis.multi().hset(key, fields).expire(key, KEPT_S));
    },
    {
      connection: redis,
      prefix: keys.jobs,
      concurrency,
      removeOnComplete: { count: 0 },
      removeOnFail: { count: 0 },
      maxStalledCount: Number.MAX_SAFE_INTEGER,
    },
  );
  worker.on('error', onError);
  worker.on('failed', (_job, error) => onError(error));
  return {
    async stop(): Promise<void> {
      stopping.abort();
      await worker.close();
    },
  };
}
